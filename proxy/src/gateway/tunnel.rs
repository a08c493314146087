//! CONNECT: from the host and port asked for to a connection that stands, and the 200 that says so.

use super::{Turn, Turned};
use crate::front::Flow;
use crate::front::conn::Conn;
use crate::respond::body::SendError;
use crate::tunnel::{NotOpened, Opened};
use weir_cache::engine::Failure;

/// A success has neither a body nor fields that speak of one (RFC 9110 §9.3.6).
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

impl Turn<'_> {
    pub(super) async fn tunnel(&mut self, conn: &mut Conn, host: &str, port: u16) -> Turned {
        match self.gateway.tunnels.open(host, port).await {
            Ok(opened) => self.established(conn, opened).await,
            Err(NotOpened::Refused(refusal)) => {
                self.refuse(conn, 403, refusal.as_str(), refusal.to_string().as_str())
                    .await
            }
            Err(NotOpened::Crowded) => {
                let what = "as many tunnels are open as [tunnel] connections allows";
                self.refuse(conn, 503, "tunnels", what).await
            }
            Err(NotOpened::Failed(error)) => {
                Turned::Answered(self.failed(conn, &Failure::Origin(error)).await)
            }
        }
    }

    async fn established(&mut self, conn: &mut Conn, opened: Opened) -> Turned {
        self.note_first_byte();
        self.record.upstream = Some(opened.address());
        if let Err(error) = conn.write_all(ESTABLISHED).await {
            self.record.detail = Some(SendError::Client(error).as_str());
            return Turned::Answered(Flow::Close);
        }
        self.record.status = 200;
        self.record.head_bytes = ESTABLISHED.len() as u64;
        Turned::Tunnel(opened)
    }
}
