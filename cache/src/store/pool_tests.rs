//! The pool: bounds, panics, closing, and a hung disk that harms nobody else.

use super::*;
use std::sync::mpsc::sync_channel;

fn pool(threads: usize, queue: usize) -> Pool {
    Pool::start("weir-test", threads, queue).unwrap()
}

#[tokio::test]
async fn a_job_gives_its_result() {
    assert_eq!(pool(2, 4).run(|| 6 * 7).await, Ok(42));
}

#[tokio::test]
async fn a_panic_fails_its_job_alone() {
    let pool = pool(1, 1);
    assert_eq!(
        pool.run(|| panic!("on purpose")).await,
        Err::<(), _>(PoolError::Panicked)
    );
    assert_eq!(pool.run(|| 1).await, Ok(1));
}

#[tokio::test]
async fn a_full_queue_refuses_or_waits_and_other_disks_go_on() {
    let (hung, other) = (pool(1, 1), pool(1, 1));
    let (release, gate) = sync_channel::<()>(1);
    let (started, start) = sync_channel::<()>(1);
    hung.try_submit(move || {
        started.send(()).unwrap();
        gate.recv().unwrap();
    })
    .unwrap();
    start.recv().unwrap();
    hung.try_submit(|| ()).unwrap();
    assert!(hung.is_full());
    assert_eq!(hung.try_submit(|| ()), Err(PoolError::Full));
    let waiting = hung.run(|| "later");
    tokio::pin!(waiting);
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(other.run(|| "now").await, Ok("now"));
    release.send(()).unwrap();
    assert_eq!(waiting.await, Ok("later"));
}

#[tokio::test]
async fn a_closed_pool_finishes_its_queue_and_takes_nothing_more() {
    let pool = pool(1, 2);
    let (sender, receiver) = sync_channel::<u8>(2);
    for number in [1, 2] {
        let sender = sender.clone();
        pool.try_submit(move || sender.send(number).unwrap())
            .unwrap();
    }
    pool.close();
    assert_eq!(pool.run(|| ()).await, Err(PoolError::Closed));
    assert_eq!(pool.try_submit(|| ()), Err(PoolError::Closed));
    assert!(pool.drain(Duration::from_secs(60)));
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn draining_a_hung_pool_ends_at_the_deadline() {
    let pool = pool(1, 1);
    let (release, gate) = sync_channel::<()>(1);
    pool.try_submit(move || gate.recv().unwrap()).unwrap();
    pool.close();
    assert!(!pool.drain(Duration::ZERO));
    release.send(()).unwrap();
}

#[tokio::test]
async fn a_job_that_makes_progress_does_not_hang() {
    let pool = pool(1, 1);
    let (step, steps) = sync_channel::<fn()>(0);
    let (taken, done) = sync_channel::<()>(0);
    let job = move || {
        for step in steps {
            step();
            taken.send(()).unwrap();
        }
    };
    pool.try_submit(job).unwrap();
    let limit = Duration::from_millis(50);
    let step = |work: fn()| {
        step.send(work).unwrap();
        done.recv().unwrap();
    };
    for sign in [note_progress as fn(), be_patient] {
        while !pool.has_run_longer_than(limit) {
            thread::yield_now();
        }
        loop {
            step(sign);
            if !pool.has_run_longer_than(limit) {
                break;
            }
        }
    }
    // A patient one is waited for longer, not forever.
    while !pool.has_run_longer_than(limit) {
        thread::yield_now();
    }
}
