//! One connection of an origin: streams side by side, each by its script.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Error, Reason, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use super::script::{Step, StreamScript};
use super::{Shared, StreamSeen};

/// What a stream can do to its connection.
#[derive(Default)]
struct Levers {
    go_away: Notify,
    cut: Notify,
}

/// Serves streams until either side ends the connection.
pub(super) async fn serve(stream: TlsStream<TcpStream>, shared: &Arc<Shared>, index: usize) {
    let mut builder = h2::server::Builder::new();
    // Heads of any size may be sent; whether they are taken is what tests are about.
    builder.max_header_list_size(16 << 20);
    if let Some(most) = shared.settings.streams_max {
        builder.max_concurrent_streams(most);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    let levers = Arc::new(Levers::default());
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                let script = shared.next_script(request.uri().path());
                let seen = seen(index, &request);
                shared.record.send_modify(|record| record.requests.push(seen));
                let (shared, levers) = (Arc::clone(shared), Arc::clone(&levers));
                streams.spawn(async move {
                    if play(respond, script, &levers).await.is_err() {
                        shared.record.send_modify(|record| record.resets += 1);
                    }
                    // Held until now: dropping it would say that the request is of no interest.
                    drop(request);
                });
            }
            () = levers.go_away.notified() => connection.graceful_shutdown(),
            () = levers.cut.notified() => return,
        }
        while streams.try_join_next().is_some() {}
    }
}

/// Answers by HTTP/1.1: the test learns which version was spoken.
pub(super) async fn speak_plain(stream: &mut TlsStream<TcpStream>, shared: &Shared) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            shared
                .record
                .send_modify(|record| record.plain_requests += 1);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhttp/1.1";
            if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }
}

/// The one who plays the steps; an error is the peer's end of the stream.
async fn play(
    mut respond: SendResponse<Bytes>,
    script: StreamScript,
    levers: &Levers,
) -> Result<(), Error> {
    let mut body: Option<SendStream<Bytes>> = None;
    for step in script.steps {
        match (step, &mut body) {
            (Step::Interim(status, headers), _) => {
                let mut interim = Response::new(());
                *interim.status_mut() = status;
                *interim.headers_mut() = headers;
                respond.send_informational(interim)?;
            }
            (Step::Head(status, headers), _) => {
                let mut head = Response::new(());
                *head.status_mut() = status;
                *head.headers_mut() = headers;
                body = Some(respond.send_response(head, false)?);
            }
            (Step::Data(bytes), Some(body)) => send(body, bytes).await?,
            (Step::Wait(gate), _) => tokio::select! {
                () = gate.opened() => {}
                reset = poll_fn(|context| respond.poll_reset(context)), if body.is_none() => {
                    return Err(reset?.into());
                }
            },
            (Step::Reset(code), Some(body)) => {
                body.send_reset(Reason::from(code));
                return Ok(());
            }
            (Step::Reset(code), None) => {
                respond.send_reset(Reason::from(code));
                return Ok(());
            }
            (Step::GoAway, _) => levers.go_away.notify_one(),
            (Step::Cut, _) => levers.cut.notify_one(),
            (Step::Data(_), None) => panic!("a script sends a body without a head"),
        }
    }
    match body {
        Some(mut body) => body.send_data(Bytes::new(), true),
        None => std::future::pending().await,
    }
}

/// Sends as fast as the windows allow.
async fn send(body: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), Error> {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let capacity = poll_fn(|context| body.poll_capacity(context)).await;
        let capacity = capacity.unwrap_or_else(|| Err(Reason::STREAM_CLOSED.into()))?;
        body.send_data(bytes.split_to(capacity.min(bytes.len())), false)?;
    }
    Ok(())
}

fn seen<B>(connection: usize, request: &Request<B>) -> StreamSeen {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fields = request.headers().iter();
    StreamSeen {
        connection,
        method: request.method().to_string(),
        url: request.uri().to_string(),
        fields: fields
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
    }
}
