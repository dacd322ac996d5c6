//! Closing after an early answer: a reset would destroy the answer in a caller who still sends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// At most so much is read and thrown away.
const MAX_BYTES: usize = 16 << 20;
/// At most so long.
const MAX_TIME: Duration = Duration::from_secs(5);
/// A caller who has been quiet for so long has read the answer, or never will.
const MAX_QUIET: Duration = Duration::from_secs(1);

/// Sends FIN, then reads until the caller closes or a bound is met.
pub(super) async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    // Ended by any bound alike: all that is left is to close.
    let _ = tokio::time::timeout(MAX_TIME, discard(&mut stream)).await;
}

async fn discard(stream: &mut TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    let mut total = 0;
    while total < MAX_BYTES {
        match tokio::time::timeout(MAX_QUIET, stream.read(&mut buffer)).await {
            Ok(Ok(read)) if read > 0 => total += read,
            _ => return,
        }
    }
}
