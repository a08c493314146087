//! The command line: what starts, what is refused, and with which exit code.

use weir_tests::gateway::builder::binary;
use weir_tests::{Gateway, Program};

#[tokio::test]
async fn unknown_commands_and_flags_are_usage_errors() {
    for arguments in [&["nonsense"][..], &["serve", "--nonsense"], &[]] {
        let run = Program::new(binary()).args(arguments).run().await;
        run.assert_code(2);
        assert!(!run.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_file_and_key() {
    let cases = [
        ("[store]\ncapasity = \"1GiB\"\n", "capasity"),
        ("[store]\ncapacity = \"lots\"\n", "lots"),
        ("[nonsense]\n", "nonsense"),
        ("[limits]\n", "not yet available"),
        ("not toml at all\n", "weir.toml"),
    ];
    for (text, word) in cases {
        let home = Gateway::builder().home();
        std::fs::write(home.config_file(), text).expect("writes");
        let checked = Program::new(binary())
            .arg("check-config")
            .arg(home.config_file())
            .run()
            .await;
        for run in [checked, home.start_in_vain().await] {
            run.assert_code(78);
            assert!(run.stderr.contains(word), "{text:?}: {}", run.stderr);
            assert!(run.stderr.contains("weir.toml"), "{text:?}: {}", run.stderr);
        }
    }
}

#[tokio::test]
async fn a_misspelled_key_gets_a_suggestion() {
    let home = Gateway::builder().home();
    std::fs::write(home.config_file(), "[store]\ncapasity = \"1GiB\"\n").expect("writes");
    let run = Program::new(binary())
        .arg("check-config")
        .arg(home.config_file())
        .run()
        .await;
    assert!(
        run.assert_code(78).stderr.contains("capacity"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_right_configuration_is_confirmed() {
    let home = Gateway::builder().home();
    let run = Program::new(binary())
        .arg("check-config")
        .arg(home.config_file())
        .run()
        .await;
    run.assert_code(0);
}

#[tokio::test]
async fn what_is_checked_is_what_would_be_served() {
    let home = Gateway::builder().home();
    let secret = home.folder().join("webhook");
    std::fs::write(&secret, "http://127.0.0.1:1/hook\n").expect("writes");
    let secret = secret.display().to_string();
    home.set("notify.webhook_header", "X-Key: 1");
    let check = async |variables: &[(&str, &str)]| {
        let program = Program::new(binary()).arg("check-config");
        let program = program.arg(home.config_file());
        let with = |program: Program, (name, value): &(&str, &str)| program.env(name, value);
        variables.iter().fold(program, with).run().await
    };
    let run = check(&[]).await;
    let said = &run.assert_code(78).stderr;
    assert!(said.contains("webhook_header"), "{said}");
    let by_environment = ("WEIR__NOTIFY__WEBHOOK_FILE", secret.as_str());
    check(&[by_environment]).await.assert_code(0);
    let wrong = ("WEIR__FILL__RETRIES", "many");
    let run = check(&[by_environment, wrong]).await;
    let said = &run.assert_code(78).stderr;
    assert!(said.contains("WEIR__FILL__RETRIES"), "{said}");
}

#[tokio::test]
async fn a_configuration_that_is_missing_is_named() {
    let run = Program::new(binary())
        .args(["serve", "--config", "/nonexistent/weir.toml"])
        .run()
        .await;
    assert!(
        run.assert_code(78)
            .stderr
            .contains("/nonexistent/weir.toml"),
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let gateway = Gateway::start().await;
    let home = Gateway::builder().home();
    let taken = gateway.proxy().to_string();
    let data = home.folder().join("other").display().to_string();
    let arguments = [
        "serve",
        "--listen",
        &taken,
        "--admin",
        "127.0.0.1:0",
        "--data",
        &data,
    ];
    let run = Program::new(binary()).args(arguments).run().await;
    let said = &run.assert_code(1).stderr;
    for words in [taken.as_str(), "--listen", "serve --upgrade"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_summary_names_a_command_to_try() {
    let gateway = Gateway::start().await;
    let lines = gateway.stdout().all().join("\n");
    assert!(lines.contains(&gateway.proxy_url()), "{lines}");
    gateway.finish().await;
}
