//! The notifications as a whole, with a receiver on loopback.

use super::*;
use crate::conf::{self, Flags, Sources};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use weir_cache::clock::SystemClock;
use weir_cache::events::Events;

/// Reads one request and answers it; its body.
async fn receive(listener: &TcpListener) -> serde_json::Value {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    loop {
        stream.read_buf(&mut request).await.unwrap();
        let text = String::from_utf8_lossy(&request);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            return body;
        }
    }
}

fn settings(listener: &TcpListener, more: &[(&str, &str)]) -> Arc<NotifySettings> {
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let own = [("WEIR__NOTIFY__WEBHOOK", url.as_str())];
    let variables = own.iter().chain(more);
    let sources = Sources {
        environment: variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        flags: Flags::default(),
        file: None,
    };
    Arc::new(conf::load(&sources).unwrap().notify)
}

fn full(disk: &str) -> Event {
    Event::DiskFull {
        disk: disk.to_owned(),
    }
}

fn start(events: &Events, settings: SettingsReader) -> Notifier {
    let clock = Arc::new(SystemClock::new());
    Notifier::start(events.subscribe(), settings, "node".to_owned(), clock)
}

#[tokio::test]
async fn settings_that_are_swapped_count_from_the_next_event_on() {
    let (one, other) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let (swap, current) = watch::channel(settings(&one, &[("WEIR__NOTIFY__KINDS", "disk-full")]));
    let events = Events::default();
    let notifier = start(&events, current);
    events.emit(Event::StoreSuspect {
        disk: "not wanted".to_owned(),
    });
    events.emit(full("first"));
    assert_eq!(receive(&one).await["subject"], "first");
    swap.send_replace(settings(&other, &[]));
    events.emit(full("second"));
    assert_eq!(receive(&other).await["subject"], "second");
    notifier.close().await;
    assert_eq!(notifier.stats().of(Channel::Webhook).delivered.get(), 2);
}

#[tokio::test]
async fn what_was_counted_is_told_at_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_, current) = watch::channel(settings(&listener, &[]));
    let events = Events::default();
    let notifier = start(&events, current);
    (0..4).for_each(|_| events.emit(full("disk")));
    assert_eq!(receive(&listener).await["count"], 1);
    let (last, ()) = tokio::join!(receive(&listener), notifier.close());
    assert_eq!(last["count"], 3);
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .starts_with("and 3 more since "),
        "{last}"
    );
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_at_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_, current) = watch::channel(settings(&listener, &[("WEIR__NOTIFY__TIMEOUT", "1h")]));
    let events = Events::default();
    let notifier = start(&events, current);
    events.emit(full("disk"));
    let _silent = listener.accept().await.unwrap();
    tokio::time::pause();
    notifier.close().await;
    assert_eq!(notifier.stats().of(Channel::Webhook).delivered.get(), 0);
}

#[tokio::test]
async fn too_many_messages_for_a_receiver_that_hangs_are_dropped_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_, current) = watch::channel(settings(&listener, &[("WEIR__NOTIFY__TIMEOUT", "1h")]));
    let events = Events::default();
    let notifier = start(&events, current);
    for number in 0..200 {
        events.emit(full(&number.to_string()));
        events.emit(Event::StoreSuspect {
            disk: number.to_string(),
        });
        events.emit(Event::Conflict {
            authority: number.to_string(),
            url: "http://h/".to_owned(),
        });
    }
    while notifier.stats().crowded.get() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    notifier.close().await;
}
