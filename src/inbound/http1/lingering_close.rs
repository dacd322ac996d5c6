//! Closes a connection after an early answer. If the caller is still sending, an immediate close would reset
//! the connection, and the caller could lose the answer.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most bytes to read from the caller and drop.
const MAX_BYTES: usize = 16 << 20;
/// The time limit for reading and dropping.
const MAX_TIME: Duration = Duration::from_secs(5);
/// If the caller sends nothing for this long, the gateway assumes that the caller has read the answer or
/// never will.
const MAX_QUIET: Duration = Duration::from_secs(1);

/// Sends the end of the stream, then reads until the caller closes the connection or one of the three limits
/// above is reached.
pub(super) async fn lingering_close(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    if io.shutdown().await.is_err() {
        return;
    }
    // The result does not matter: the connection closes next in any case.
    let _ = tokio::time::timeout(MAX_TIME, discard(&mut io)).await;
}

async fn discard(io: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = vec![0; 16 * 1024];
    let mut total = 0;
    while total < MAX_BYTES {
        match tokio::time::timeout(MAX_QUIET, io.read(&mut buffer)).await {
            Ok(Ok(read)) if read > 0 => total += read,
            _ => return,
        }
    }
}
