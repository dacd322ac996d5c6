//! A fast upstream with HTTP/1.1 keep-alive: it counts request heads and always sends the same
//! answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves until the process is killed. Requests have no body.
pub(crate) fn run(listen: &str) {
    let note = "x".repeat(520);
    let body =
        format!("{{\"id\":700100042,\"loginName\":\"river@example.test\",\"note\":\"{note}\"}}");
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nac-revision: 42\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer: &'static [u8] = Box::leak(answer.into_bytes().into_boxed_slice());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.expect("the port is free");
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, answer));
            }
        }
    });
}

async fn serve(mut stream: TcpStream, answer: &'static [u8]) {
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]).await {
            Ok(0) | Err(_) => return,
            Ok(read) => filled += read,
        }
        let mut start = 0;
        while let Some(end) = find_end(&buffer[start..filled]) {
            start += end;
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

fn find_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}
