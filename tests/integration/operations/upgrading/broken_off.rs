//! An upgrade in the middle of which a process dies: whoever is left serves.

use rustix::process::Signal;

use crate::stage::Stage;
use weir_tests::deadline::until;
use weir_tests::{Doorway, Handshake};

/// How far a handshake comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Sockets,
    Ready,
    Yours,
    /// Said by the new process, and not heard by the old one.
    Taken,
}

async fn go_to(step: Step, handshake: &mut Handshake) {
    handshake.begin().await;
    if step >= Step::Ready {
        handshake.pass_up("ready").await;
    }
    if step >= Step::Yours {
        handshake.pass_down("yours").await;
    }
    if step >= Step::Taken {
        handshake.keep_up("taken").await;
    }
}

/// Starts a new process and kills it at `step`.
async fn kill_at(step: Step, stage: &Stage) {
    let door = Doorway::of(&stage.gateway.home());
    let steps = async {
        let mut handshake = door.newcomer().await;
        go_to(step, &mut handshake).await;
        handshake
    };
    let mut steps = Box::pin(steps);
    let mut upgrade = Box::pin(stage.gateway.upgrade());
    let mut new = None;
    let mut handshake = loop {
        tokio::select! {
            handshake = &mut steps => break handshake,
            // It may say where it accepts before we have read that it does.
            gateway = &mut upgrade, if new.is_none() => new = Some(gateway),
        }
    };
    drop((upgrade, new));
    handshake.new_is_gone().await;
    drop((handshake, steps));
    door.give_back();
}

#[tokio::test]
async fn a_new_process_that_dies_at_any_step_leaves_everything_as_it_was() {
    let mut stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await;
    stage.gateway.expect_log("an upgrade came to nothing");
    kill_at(Step::Sockets, &stage).await;
    stage.assert_hit("/x", b"x").await;
    let before = stage.gateway.descriptors();
    for step in [Step::Sockets, Step::Ready, Step::Yours, Step::Taken] {
        kill_at(step, &stage).await;
        stage.assert_hit("/x", b"x").await;
    }
    let is_closed = async || stage.gateway.descriptors() <= before;
    until("what was handed over in vain is closed", is_closed).await;
    let (stage, old) = stage.upgraded().await;
    old.ends_well().await;
    stage.assert_hit("/x", b"x").await;
    stage.finish().await;
}

#[tokio::test]
async fn an_old_process_that_dies_before_it_gave_its_data_back_leaves_it_to_the_new_one() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await;
    stage.gateway.settled().await;
    let door = Doorway::of(&stage.gateway.home());
    let steps = async {
        let mut handshake = door.newcomer().await;
        go_to(Step::Yours, &mut handshake).await;
        handshake.pass_up("taken").await;
        stage.gateway.signal(Signal::KILL);
    };
    let (mut new, ()) = tokio::join!(stage.gateway.upgrade(), steps);
    new.expect_log("left without a word about its data");
    new.owns_data().await;
    let (stage, _) = stage.replaced_by(new);
    stage.assert_hit("/x", b"x").await;
    stage.finish().await;
}

#[tokio::test]
async fn an_old_process_that_is_killed_before_it_agreed_is_replaced() {
    for step in [None, Some(Step::Sockets), Some(Step::Ready)] {
        let stage = Stage::new().await;
        stage.fresh("/x", b"x");
        stage.get("/x").await;
        stage.gateway.settled().await;
        let door = Doorway::of(&stage.gateway.home());
        let gateway = &stage.gateway;
        let steps = async move {
            let mut handshake = door.newcomer().await;
            if let Some(step) = step {
                go_to(step, &mut handshake).await;
            }
            gateway.signal(Signal::KILL);
            handshake.old_is_gone().await;
            // The sockets of a process that died are still there, and nobody listens.
            drop((door, handshake));
        };
        let (mut new, ()) = tokio::join!(stage.gateway.upgrade(), steps);
        if step.is_some() {
            new.expect_log("the gateway before has died");
            // Where its data was not free at once.
            new.expect_log("left without a word about its data");
        }
        new.ready().await;
        let (stage, _) = stage.replaced_by(new);
        stage.assert_hit("/x", b"x").await;
        stage.finish().await;
    }
}

#[tokio::test]
async fn an_old_process_that_is_stopped_in_the_middle_takes_the_new_one_with_it() {
    let mut stage = Stage::new().await;
    let door = Doorway::of(&stage.gateway.home());
    let steps = async {
        let mut handshake = door.newcomer().await;
        go_to(Step::Sockets, &mut handshake).await;
        stage.gateway.signal(Signal::TERM);
        handshake.old_is_gone().await;
    };
    let (run, ()) = tokio::join!(stage.gateway.upgrade_in_vain(), steps);
    run.assert_code(1);
    assert_eq!(stage.gateway.exited().await, Some(0));
}

#[tokio::test]
async fn a_new_process_that_waits_for_the_data_can_be_stopped() {
    let stage = Stage::new().await;
    let door = Doorway::of(&stage.gateway.home());
    let steps = async {
        let mut handshake = door.newcomer().await;
        go_to(Step::Yours, &mut handshake).await;
        handshake.pass_up("taken").await;
        handshake
    };
    let (new, handshake) = tokio::join!(stage.gateway.upgrade(), steps);
    new.finish().await;
    stage.gateway.ends_well().await;
    drop(handshake);
}

#[tokio::test]
async fn a_new_process_whose_output_is_full_goes_on() {
    let stage = Stage::new().await;
    stage.fresh("/x", b"x");
    stage.get("/x").await;
    stage.gateway.settled().await;
    let mut new = stage.gateway.upgrade_unheard();
    new.expect_log("cannot write to the standard output");
    new.owns_data().await;
    let (stage, old) = stage.replaced_by(new);
    old.ends_well().await;
    stage.assert_hit("/x", b"x").await;
    stage.finish().await;
}
