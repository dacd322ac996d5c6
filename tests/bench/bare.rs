//! A minimal hyper reverse proxy with a connection pool, without checks and log lines: the lower
//! bound for the gateway's costs.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

type Answer = Response<Either<Incoming, Empty<Bytes>>>;
type Pool = Rc<RefCell<Vec<SendRequest<Incoming>>>>;

/// Serves until the process is killed.
pub(crate) fn run(listen: &str, upstream: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await.expect("the port is free");
        let pool = Pool::default();
        let upstream: Rc<str> = upstream.into();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (pool, upstream) = (Rc::clone(&pool), Rc::clone(&upstream));
            tokio::task::spawn_local(async move {
                let service =
                    service_fn(|request| forward(Rc::clone(&pool), Rc::clone(&upstream), request));
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
}

async fn forward(
    pool: Pool,
    upstream: Rc<str>,
    mut request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let host = http::HeaderValue::from_static("upstream.test");
    request.headers_mut().insert(http::header::HOST, host);
    let answer = send(&pool, &upstream, request).await;
    Ok(match answer {
        Some(response) => response.map(Either::Left),
        None => {
            let mut response = Response::new(Either::Right(Empty::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    })
}

async fn send(
    pool: &Pool,
    upstream: &str,
    request: Request<Incoming>,
) -> Option<Response<Incoming>> {
    loop {
        let idle = pool.borrow_mut().pop();
        let mut sender = match idle {
            Some(mut sender) => {
                if sender.is_closed() || sender.ready().await.is_err() {
                    continue;
                }
                sender
            }
            None => {
                let stream = TcpStream::connect(upstream).await.ok()?;
                stream.set_nodelay(true).ok()?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
                tokio::task::spawn_local(connection);
                sender
            }
        };
        let response = sender.send_request(request).await.ok()?;
        pool.borrow_mut().push(sender);
        return Some(response);
    }
}
