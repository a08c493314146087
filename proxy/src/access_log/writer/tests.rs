//! The queue against a destination that the test holds and lets go.

use super::*;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Tells the test each batch and waits for its permission before the write returns.
struct Gate {
    batches: SyncSender<Vec<u8>>,
    results: Receiver<io::Result<()>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.batches.send(bytes.to_vec()).expect("the test listens");
        self.results
            .recv()
            .expect("the test answers")
            .map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gated(bytes_max: usize) -> (Arc<Queue>, Receiver<Vec<u8>>, SyncSender<io::Result<()>>) {
    let (batches, seen) = sync_channel(16);
    let (answer, results) = sync_channel(16);
    let sink = Sink::Stream(Box::new(Gate { batches, results }));
    (Queue::start(sink, bytes_max).unwrap(), seen, answer)
}

#[tokio::test]
async fn a_slow_destination_costs_lines_and_never_blocks() {
    let (queue, seen, answer) = gated(10);
    queue.push(b"first\n");
    assert_eq!(seen.recv().unwrap(), b"first\n");
    // The thread is inside its write now, and everything else waits or goes.
    queue.push(b"12345\n");
    queue.push(b"67890\n");
    queue.push(b"abc\n");
    queue.push(b"\n");
    assert_eq!(queue.dropped(), 2);
    answer.send(Ok(())).unwrap();
    assert_eq!(seen.recv().unwrap(), b"12345\nabc\n");
    answer.send(Ok(())).unwrap();
    queue.close().await;
    assert_eq!(queue.failed_writes(), 0);
}

#[tokio::test]
async fn a_destination_that_fails_is_counted_and_tried_again() {
    let (queue, seen, answer) = gated(10);
    queue.push(b"lost\n");
    seen.recv().unwrap();
    queue.push(b"kept\n");
    answer.send(Err(io::Error::other("no space"))).unwrap();
    assert_eq!(seen.recv().unwrap(), b"kept\n");
    answer.send(Ok(())).unwrap();
    queue.close().await;
    assert_eq!((queue.failed_writes(), queue.dropped()), (1, 0));
}

#[tokio::test]
async fn lines_after_the_close_are_counted_as_dropped() {
    let (queue, _seen, _answer) = gated(10);
    queue.close().await;
    queue.push(b"late\n");
    queue.close().await;
    assert_eq!(queue.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn close_gives_up_on_a_destination_that_is_stuck() {
    let (queue, seen, answer) = gated(10);
    queue.push(b"stuck\n");
    seen.recv().unwrap();
    queue.close().await;
    // Only now may the write return: the close did not wait for it.
    answer.send(Ok(())).unwrap();
}
