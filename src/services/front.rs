//! The HTTP front of the adder, as the seed's tests have it: `GET /?num=1336` is answered with `1337`, by a call of its own
//! to whoever serves the method. Its connection to the bus is there before the first request and stays between requests.

use crate::bus::rpc::{Client, Error};
use crate::shutdown::Shutdown;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// A browser that says nothing is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between a failed `accept`, for want of file descriptors for instance, and the next.
const AGAIN: Duration = Duration::from_millis(100);

/// What it needs.
#[derive(Clone, Debug)]
pub struct Front {
    /// Who adds.
    pub client: Client,
    /// How long an answer may take.
    pub within: Duration,
}

/// Serves until shutdown; what has begun is finished.
pub async fn run(front: Front, listener: TcpListener, shutdown: Shutdown) {
    let requests = TaskTracker::new();
    while let Some(accepted) = shutdown.or(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => drop(requests.spawn(serve(front.clone(), stream, shutdown.clone()))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    requests.close();
    requests.wait().await;
}

async fn serve(front: Front, stream: TcpStream, shutdown: Shutdown) {
    let service = service_fn(|request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(&request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let serving = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = shutdown.requested() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a browser's connection ended");
    }
}

impl Front {
    async fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        if !matches!(request.uri().path(), "/" | "/api/v1/rpc/adder") {
            return said(StatusCode::NOT_FOUND, "there is only /?num=1336\n".into());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = said(StatusCode::METHOD_NOT_ALLOWED, "GET /?num=1336\n".into());
            refused.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("a header"));
            return refused;
        }
        match number(request.uri().query().unwrap_or_default()) {
            Some(number) => match self.client.call("adder", &json!({"arg": number}), self.within).await {
                Ok(sum) => said(StatusCode::OK, sum.to_string()),
                Err(error) => {
                    tracing::warn!(%error, "a call failed");
                    said(status(&error), format!("{error}\n"))
                }
            },
            None => said(StatusCode::BAD_REQUEST, "num is a whole number of at most 64 bits\n".into()),
        }
    }
}

/// `num`, or 1 if there is none.
fn number(query: &str) -> Option<Value> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    match pairs.find(|(name, _)| name == "num") {
        Some((_, text)) => {
            let whole = text.parse::<i64>().map(Value::from);
            whole.or_else(|_| text.parse::<u64>().map(Value::from)).ok()
        }
        None => Some(json!(1)),
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        Error::Remote { .. } | Error::Answer { .. } => StatusCode::BAD_GATEWAY,
        Error::Unroutable { .. } | Error::Bus(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn said(status: StatusCode, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    // As the seed's WSGI programs had it.
    response.headers_mut().insert(CONTENT_TYPE, "text/html".parse().expect("a header"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_without_a_number_means_one() {
        for (query, found) in
            [("", Some(1)), ("num=1336", Some(1336)), ("a=b&num=-7", Some(-7)), ("num=", None), ("num=x", None)]
        {
            assert_eq!(number(query), found.map(|number| json!(number)), "{query}");
        }
        assert_eq!(number("num=18446744073709551615"), Some(json!(u64::MAX)));
        assert_eq!(number("num=18446744073709551616"), None);
    }
}
