//! Processes of a gateway's folder: started, followed until they say where they listen, or seen to give up.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::process::{Child, Command};

use super::Gateway;
use super::builder::{Addresses, Home, binary};
use super::lines::Lines;
use crate::deadline::within;
use crate::program::{PROXY_VARIABLES, Program, Run};

impl Home {
    /// Starts a gateway here.
    ///
    /// # Panics
    /// When it does not say where it listens.
    pub async fn start(self: &Arc<Self>) -> Gateway {
        self.follow(self.spawn(self.arguments())).await
    }

    /// Starts a gateway that would take over, where none runs.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_upgrading_nothing(self: &Arc<Self>) -> Gateway {
        let mut arguments = self.arguments();
        arguments.push("--upgrade".to_owned());
        self.follow(self.spawn(arguments)).await
    }

    /// Starts a gateway that takes over from the one that runs here.
    pub(super) async fn start_upgrade(
        self: &Arc<Self>,
        proxy: SocketAddr,
        admin: SocketAddr,
    ) -> Gateway {
        let arguments = self.upgrade_arguments(proxy, admin);
        self.follow(self.spawn(arguments)).await
    }

    /// Starts one that is expected to give up the taking over, and waits for that.
    pub(super) async fn upgrade_in_vain(&self, proxy: SocketAddr, admin: SocketAddr) -> Run {
        let arguments = self.upgrade_arguments(proxy, admin);
        Program::new(binary()).args(arguments).run().await
    }

    fn upgrade_arguments(&self, proxy: SocketAddr, admin: SocketAddr) -> Vec<String> {
        let mut arguments = self.arguments();
        // The ports that were any free ones are known by now.
        let known = [("--listen", proxy), ("--admin", admin)];
        for (flag, address) in known {
            if let Some(place) = arguments.iter().position(|word| word == flag) {
                arguments[place + 1] = address.to_string();
            }
        }
        arguments.push("--upgrade".to_owned());
        arguments
    }

    /// As [`Self::start_upgrade`], with a standard output that takes nothing.
    pub(super) fn start_upgrade_unheard(
        self: &Arc<Self>,
        proxy: SocketAddr,
        admin: SocketAddr,
    ) -> Gateway {
        let full = File::options().write(true).open("/dev/full");
        let mut command = self.command(self.upgrade_arguments(proxy, admin));
        command.stdout(full.expect("opens"));
        let mut child = spawn(command);
        let stderr = Lines::follow(child.stderr.take().expect("piped"));
        let expected = self.expected();
        Gateway {
            home: Arc::clone(self),
            child,
            stdout: Lines::follow(tokio::io::empty()),
            stderr,
            proxy,
            admin,
            expected,
        }
    }

    async fn follow(self: &Arc<Self>, mut child: Child) -> Gateway {
        let stdout = Lines::follow(child.stdout.take().expect("piped"));
        let stderr = Lines::follow(child.stderr.take().expect("piped"));
        let proxy = announced(&stdout, &stderr, "proxy").await;
        let admin = announced(&stdout, &stderr, "admin").await;
        let expected = self.expected();
        Gateway {
            home: Arc::clone(self),
            child,
            stdout,
            stderr,
            proxy,
            admin,
            expected,
        }
    }

    /// Starts a gateway that is expected to give up, and waits for that.
    pub async fn start_in_vain(&self) -> Run {
        Program::new(binary()).args(self.arguments()).run().await
    }

    fn arguments(&self) -> Vec<String> {
        let config = self.config_file().display().to_string();
        let mut arguments = vec!["serve", "--config", &config];
        if self.addresses == Addresses::Flags {
            arguments.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        }
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        arguments.extend(self.data_arguments());
        arguments
    }

    fn spawn(&self, arguments: Vec<String>) -> Child {
        spawn(self.command(arguments))
    }

    /// From now on processes find that the machine was started anew since the last one. Needs root.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn boot_anew(&self) {
        let boot = self.boots.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("{boot:08x}-0000-4000-8000-000000000000\n");
        std::fs::write(self.boot_file(), id).expect("writes");
    }

    fn boot_file(&self) -> PathBuf {
        self.folder().join("boot_id")
    }

    /// The gateway's program; after [`Self::boot_anew`] where it sees another boot than the machine's. It has the
    /// process id of the command in either case.
    fn program(&self) -> Command {
        if self.boots.load(Ordering::Relaxed) == 0 {
            return Command::new(binary());
        }
        const SCRIPT: &str = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT]);
        command.arg(self.boot_file()).arg(binary());
        command
    }

    fn command(&self, arguments: Vec<String>) -> Command {
        let mut command = self.program();
        command.args(arguments).current_dir(self.folder());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
            .kill_on_drop(true)
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1");
        for variable in PROXY_VARIABLES {
            command.env_remove(variable);
        }
        command
    }
}

fn spawn(mut command: Command) -> Child {
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", binary().display()))
}

/// The address in the line of the start-up summary that begins with `word`.
async fn announced(stdout: &Lines, stderr: &Lines, word: &str) -> SocketAddr {
    let address = |line: &str| {
        let is_it = line.split_whitespace().next() == Some(word);
        let url = line
            .split_whitespace()
            .next_back()?
            .strip_prefix("http://")?;
        is_it
            .then(|| url.trim_end_matches('/').parse::<SocketAddr>().ok())
            .flatten()
    };
    let line = stdout
        .wait_for("the start-up summary", |line| address(line).is_some())
        .await;
    match line.as_deref().and_then(address) {
        Some(address) => address,
        None => {
            let errors = within("its errors", stderr.all_until_end()).await;
            panic!("no {word} address: {:?} {errors:#?}", stdout.all());
        }
    }
}
