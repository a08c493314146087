//! Load client of the benchmark: downloads one object many times over many connections and checks what arrives.
//!
//! It exists because the load must not be what is measured: one thread, one buffer for all connections, and a check
//! that touches one cache line in each page. Small objects are left to `wrk`. One line of JSON on the standard output
//! says how it went; a transfer that failed is counted and the first failure is told in words.
//!
//! Deliberately not here: TLS, redirects, chunked bodies, statistics beyond two percentiles. `bench/clients.py` starts
//! it and judges the result.

mod arguments;
mod content;
mod head;
mod tally;
mod transfer;

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::{JoinSet, LocalSet};

use arguments::Arguments;
use tally::Tally;
use transfer::Connection;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => return complain(&format!("weir-load: {problem}\n{}", arguments::USAGE)),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("weir-load: no runtime: {error}")),
    };
    let line = LocalSet::new().block_on(&runtime, run(Rc::new(arguments)));
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(words: &str) -> ExitCode {
    // Nobody is left to be told when the standard error is closed as well.
    drop(writeln!(std::io::stderr(), "{words}"));
    ExitCode::from(2)
}

/// Runs all transfers and returns the result as a line of JSON.
async fn run(arguments: Rc<Arguments>) -> String {
    let shared = Rc::new(Shared {
        left: Cell::new(arguments.transfers),
        tally: RefCell::new(Tally::default()),
        buffer: RefCell::new(vec![0; transfer::BUFFER_BYTES]),
    });
    let started = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..arguments.connections {
        connections.spawn_local(one_connection(Rc::clone(&arguments), Rc::clone(&shared)));
    }
    while connections.join_next().await.is_some() {}
    shared.tally.take().into_json(started.elapsed())
}

/// What the connections have in common; there is one thread, and no borrow lasts across an await.
struct Shared {
    left: Cell<u64>,
    tally: RefCell<Tally>,
    buffer: RefCell<Vec<u8>>,
}

impl Shared {
    /// Takes one of the transfers that are left.
    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

/// Transfers one after the other on one connection; after a failure on a new one.
async fn one_connection(arguments: Rc<Arguments>, shared: Rc<Shared>) {
    let mut open: Option<Connection> = None;
    while shared.take() {
        let started = Instant::now();
        let connected = match open.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(arguments.address).await,
        };
        let outcome = match connected {
            Ok(mut connection) => {
                let outcome = connection
                    .transfer(&arguments, &shared.buffer, started)
                    .await;
                if outcome.as_ref().is_ok_and(|done| done.may_be_reused) {
                    open = Some(connection);
                }
                outcome
            }
            Err(failure) => Err(failure),
        };
        shared.tally.borrow_mut().add(outcome);
    }
}
