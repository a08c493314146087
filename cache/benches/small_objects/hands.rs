//! A thread for each disk, and one job for each copy of an object: the fewest handovers that a store can do with whose
//! disks are not to wait for each other.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

type Job = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// The threads; they end with it.
pub(crate) struct Hands {
    jobs: Vec<SyncSender<Job>>,
    answers: Receiver<io::Result<()>>,
}

impl Hands {
    pub(crate) fn start(disks: usize) -> io::Result<Self> {
        let (answer, answers) = sync_channel(disks);
        let mut jobs = Vec::new();
        for _ in 0..disks {
            let (sender, receiver) = sync_channel::<Job>(1);
            let answer = answer.clone();
            let work = move || {
                for job in receiver {
                    if answer.send(job()).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().spawn(work)?;
            jobs.push(sender);
        }
        Ok(Self { jobs, answers })
    }

    /// Runs one job on each of some disks, all at once, and waits for them.
    pub(crate) fn each<J>(
        &self,
        disks: impl Iterator<Item = usize>,
        job: impl Fn(usize) -> J,
    ) -> io::Result<()>
    where
        J: FnOnce() -> io::Result<()> + Send + 'static,
    {
        let mut waiting = 0;
        for disk in disks {
            let hand = self.jobs.get(disk).ok_or(io::ErrorKind::NotFound)?;
            let handed = hand.send(Box::new(job(disk)));
            handed.map_err(|_| io::ErrorKind::BrokenPipe)?;
            waiting += 1;
        }
        for _ in 0..waiting {
            self.answers.recv().map_err(io::Error::other)??;
        }
        Ok(())
    }
}
