//! Both ends of an upgrade, over a pair of sockets.

use super::*;

async fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

#[tokio::test]
async fn sockets_arrive_with_their_addresses() {
    let (old, new) = pair().await;
    let bound = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = bound.local_addr().unwrap();
    send_sockets(&old, &[bound.into()]).await.unwrap();
    let sockets = receive_sockets(&new).await.unwrap();
    let mut predecessor = Predecessor {
        path: PathBuf::new(),
        stream: new,
        sockets,
    };
    assert!(predecessor.take(([127, 0, 0, 1], 1).into()).is_none());
    let taken = predecessor.take(address).unwrap();
    assert_eq!(taken.local_addr().unwrap(), address);
    assert!(predecessor.take(address).is_none());
}

#[tokio::test]
async fn what_is_no_listening_socket_is_refused() {
    let (old, new) = pair().await;
    let (other, _) = pair().await;
    let other = OwnedFd::from(other.into_std().unwrap());
    send_sockets(&old, &[other]).await.unwrap();
    assert!(receive_sockets(&new).await.is_err());
}

#[tokio::test]
async fn a_successor_that_leaves_or_babbles_gets_nothing() {
    let check = async |lines: &[&str]| {
        let (old, mut new) = pair().await;
        for line in lines {
            say(&mut new, line).await.unwrap();
        }
        let offering = tokio::spawn(async move { offer(old, &[]).await });
        new.shutdown().await.unwrap();
        assert!(offering.await.unwrap().is_err(), "{lines:?}");
    };
    check(&[]).await;
    check(&["weir upgrade 2"]).await;
    check(&[&"x".repeat(LINE_BYTES_MAX + 1)]).await;
    check(&[HELLO]).await;
    check(&[HELLO, "steady"]).await;
    check(&[HELLO, READY]).await;
    check(&[HELLO, READY, READY]).await;
}

#[tokio::test]
async fn both_sides_come_to_the_end() {
    let (old, mut new) = pair().await;
    let offering = tokio::spawn(async move { offer(old, &[]).await });
    say(&mut new, HELLO).await.unwrap();
    let sockets = receive_sockets(&new).await.unwrap();
    let mut predecessor = Predecessor {
        path: PathBuf::new(),
        stream: new,
        sockets,
    };
    predecessor.relieve().await.unwrap();
    let successor = offering.await.unwrap().unwrap();
    tokio::join!(successor.tell_released(), predecessor.released());
}

/// The new process, in the middle of an upgrade.
fn predecessor(stream: UnixStream) -> Predecessor {
    Predecessor {
        path: PathBuf::new(),
        stream,
        sockets: Vec::new(),
    }
}

#[tokio::test]
async fn an_old_process_that_is_not_willing_is_not_relieved() {
    let check = async |line: &str| {
        let (mut old, new) = pair().await;
        let relieving = tokio::spawn(async move { predecessor(new).relieve().await });
        assert_eq!(hear(&mut old).await.unwrap(), READY);
        say(&mut old, line).await.unwrap();
        drop(old);
        assert!(relieving.await.unwrap().is_err(), "{line:?}");
    };
    check("no").await;
    check(RELEASED).await;
    check("").await;
}

#[tokio::test]
async fn an_old_process_that_waits_no_longer_is_not_relieved() {
    let (mut old, new) = pair().await;
    say(&mut old, YOURS).await.unwrap();
    drop(old);
    assert!(predecessor(new).relieve().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_new_process_that_hears_yours_and_says_nothing_is_not_waited_for() {
    let (old, mut new) = pair().await;
    say(&mut new, HELLO).await.unwrap();
    say(&mut new, READY).await.unwrap();
    let error = offer(old, &[]).await.unwrap_err();
    assert!(error.to_string().contains("took over"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_old_process_that_stalls_with_its_data_is_not_waited_for_for_ever() {
    let (old, new) = pair().await;
    predecessor(new).released().await;
    drop(old);
}
