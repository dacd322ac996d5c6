//! Closing after an early answer: a reset would destroy the answer if the caller is still sending.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes to read and drop.
const MAX_BYTES: usize = 16 << 20;
/// Time for all of it.
const MAX_TIME: Duration = Duration::from_secs(5);
/// A caller that is quiet for this long has read the answer, or never will.
const MAX_QUIET: Duration = Duration::from_secs(1);

/// Sends the end of the stream, then reads until the caller closes or a bound is reached.
pub(super) async fn lingering_close(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    if io.shutdown().await.is_err() {
        return;
    }
    // However it ends, nothing but the close remains.
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
