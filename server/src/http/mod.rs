//! HTTP: the route table, on one screen, and the server that runs it.

mod bridge;
mod connections;
mod health;
mod http2;
mod origin;
mod state;
mod tls;
mod token;
mod unread;

pub(crate) use bridge::Patience;
pub(crate) use connections::Bounds;
pub(crate) use origin::Origins;
pub(crate) use state::State;
pub(crate) use tls::Certificate;

use connections::Connections;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use granary_storage::clock::Millis;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

/// Threads for file and database work, at most, of each worker: enough that flushes of slow disks do not hold up reads,
/// few enough that their stacks and allocator heaps stay small.
const BLOCKING_THREADS: usize = 64;

/// How the server runs.
pub(crate) struct Options {
    /// Worker threads.
    pub(crate) workers: usize,
    /// How long a client may take to send its headers.
    pub(crate) header_timeout: Duration,
    /// How long in-flight requests may take once the server is told to stop.
    pub(crate) drain_timeout: Duration,
    /// How many connections and requests there may be.
    pub(crate) bounds: Bounds,
    /// Connections over these that are open to be refused; any more wait to be accepted.
    pub(crate) connections_refused: usize,
    /// Turns true when the server is told to stop.
    pub(crate) draining: watch::Receiver<bool>,
    /// Bytes of one HTTP/2 request body that may be under way; an upload waits a round trip for each.
    pub(crate) h2_stream_window: u32,
    /// The same for all requests of one HTTP/2 connection.
    pub(crate) h2_connection_window: u32,
    /// Speaks TLS when there is one.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

/// Builds the server on a socket that is already bound. Signals are the caller's.
///
/// # Errors
/// When the socket or the certificate cannot be used.
pub(crate) fn serve(state: web::Data<State>, listener: TcpListener, options: &Options) -> anyhow::Result<actix_web::dev::Server> {
    let workers = options.workers.max(1);
    // Inherited by every connection: the kernel ends one whose peer takes nothing for so long, which no body of ours could notice.
    let reader_idle = u32::try_from(options.bounds.reader_idle.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&listener, reader_idle)?;
    let connections = Connections::new(options.bounds, options.draining.clone());
    let server = HttpServer::new(move || {
        // Called on each worker's thread, whose part of the heap only itself can give back.
        actix_web::rt::spawn(crate::workers::give_memory_back_forever());
        App::new()
            .app_data(state.clone())
            .wrap_fn(unread::close_on_unread)
            .wrap_fn(connections::watch)
            // A resource answers 405 to a method that none of its routes knows.
            .service(readable("/token", token::get).route(web::post().to(token::post)))
            .service(readable("/livez", health::livez))
            .service(readable("/readyz", health::readyz))
            .service(readable("/metrics", health::metrics))
            .default_service(web::to(format_or_nothing))
    })
    .workers(workers)
    .worker_max_blocking_threads(BLOCKING_THREADS)
    .on_connect(move |io, data| connections.opened(io, data))
    .keep_alive(options.bounds.keep_alive)
    .max_connections(
        options
            .bounds
            .connections
            .saturating_add(options.connections_refused)
            .div_ceil(workers),
    )
    .client_request_timeout(options.header_timeout)
    .shutdown_timeout(options.drain_timeout.as_secs())
    .h2_initial_window_size(options.h2_stream_window)
    .h2_initial_connection_window_size(options.h2_connection_window)
    .disable_signals();
    let server = match &options.certificate {
        None => server.listen(listener)?,
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.clone().config()?)?,
    };
    Ok(server.run())
}

/// A page that is read: HEAD wherever GET is.
fn readable<F, Args>(path: &str, handler: F) -> actix_web::Resource
where
    F: actix_web::Handler<Args, Output = HttpResponse>,
    Args: actix_web::FromRequest + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
}

/// Everything that is not a route above belongs to a format, or to nobody.
async fn format_or_nothing(state: web::Data<State>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let path = request.uri().path();
    let Some((route, rest)) = state.formats.route(path) else {
        return HttpResponse::NotFound().content_type("text/plain").body("there is nothing here\n");
    };
    let started = Instant::now();
    let id = next_request_id();
    let mut response = bridge::to_format(&state, route, rest, &id, &request, payload).await;
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    state.metrics.request(route.name(), request.method().as_str(), status, elapsed);
    tracing::debug!(%id, method = %request.method(), path, status, ms = elapsed.as_millis(), "answered {} {path} with {status}", request.method());
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

/// Unique in this process and unlikely to repeat in the next: the start time, then a counter.
fn next_request_id() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static START: std::sync::LazyLock<Millis> = std::sync::LazyLock::new(granary_storage::clock::now);
    format!("{:x}-{:x}", *START, COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A time as RFC 3339 with seconds, UTC; the epoch for a time that no calendar holds.
fn rfc3339(at: Millis) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}
