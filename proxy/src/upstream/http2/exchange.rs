//! One request on a stream, up to the head of its response.
//!
//! What HTTP/2 forbids in a head (fields of a connection, upper case, pseudo-fields out of place, a length that does
//! not hold, RFC 9113 §8) h2 refuses; pseudo-fields of a request it drops. What it does not know of is refused here: too
//! many fields, interim floods, 101.

use super::failure;
use super::session::Lease;
use crate::upstream::ask::{Unanswered, unanswered};
use crate::upstream::head::{self, HeadError};
use crate::upstream::interim::InterimRelay;
use crate::upstream::request::outgoing;
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::header::TRANSFER_ENCODING;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use std::future::poll_fn;
use weir_cache::ports::{Framing, OriginRequest};

/// A request as HTTP/2 has it.
pub(in crate::upstream) type Question = Request<()>;

/// The final head and what follows it.
pub(in crate::upstream) struct Answer {
    pub(in crate::upstream) status: StatusCode,
    /// End-to-end fields.
    pub(in crate::upstream) headers: http::HeaderMap,
    pub(in crate::upstream) framing: Framing,
    pub(in crate::upstream) stream: RecvStream,
}

/// `request` for HTTP/2; `None` where its URL has bytes that crate http does not take. Those go over HTTP/1.1.
pub(in crate::upstream) fn question(request: &OriginRequest, node_name: &str) -> Option<Question> {
    let target = &request.target;
    let uri = Uri::builder()
        .scheme(target.scheme().as_str())
        .authority(target.authority())
        .path_and_query(target.path_and_query())
        .build()
        .ok()
        // What is asked for is the target byte for byte, or it is not asked for.
        .filter(|uri| {
            uri.path_and_query().map(|path| path.as_str()) == Some(target.path_and_query())
        })?;
    let mut question = Request::new(());
    *question.method_mut() = request.method.clone();
    *question.version_mut() = Version::HTTP_2;
    *question.uri_mut() = uri;
    *question.headers_mut() = outgoing(&request.headers, node_name);
    Some(question)
}

/// Sends `question` and waits for the final head. The deadline is the caller's.
///
/// Cancel-safe: a dropped call resets its stream and nothing else.
pub(in crate::upstream) async fn ask(
    lease: &Lease,
    question: Question,
    relay: &mut InterimRelay,
    origin: &str,
) -> Result<Answer, Unanswered> {
    let method = question.method().clone();
    let failed = |error: &h2::Error, relay: &InterimRelay| failure::head(error, relay, origin);
    let mut sender = match lease.sender().ready().await {
        Ok(sender) => sender,
        Err(error) => return Err(failed(&error, relay)),
    };
    let (mut response, _no_body) = sender
        .send_request(question, true)
        .map_err(|error| failed(&error, relay))?;
    let broken = |why| unanswered(HeadError::Protocol(why), origin);
    while let Some(interim) = next_interim(&mut response).await {
        let interim = interim.map_err(|error| failed(&error, relay))?;
        let (parts, ()) = interim.into_parts();
        relay.pass(parts.status, parts.headers).map_err(broken)?;
    }
    let response = response.await.map_err(|error| failed(&error, relay))?;
    answer(response, &method).map_err(broken)
}

/// The next interim response; `None` when the final one is here, or will never come.
async fn next_interim(response: &mut ResponseFuture) -> Option<Result<Response<()>, h2::Error>> {
    poll_fn(|context| response.poll_informational(context)).await
}

fn answer(response: Response<RecvStream>, method: &Method) -> Result<Answer, &'static str> {
    let (parts, stream) = response.into_parts();
    if parts.headers.len() > head::FIELDS_MAX {
        return Err("more than 256 response fields");
    }
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        return Err("Transfer-Encoding in HTTP/2");
    }
    let head = head::framed(parts.status, parts.headers, 1, method)?;
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        // The end is a flag of the last frame, so it is always explicit.
        framing: match head.framing {
            Framing::UntilClose => Framing::Chunked,
            framing => framing,
        },
        stream,
    })
}
