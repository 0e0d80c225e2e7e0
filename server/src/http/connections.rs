//! What is known of each connection: whether there was room for it, how much is asked on
//! it at once, and whether its peer still takes what it asked for.
//!
//! Over HTTP/1.1 the kernel notices a peer that takes nothing (`TCP_USER_TIMEOUT`). Over
//! HTTP/2 a peer can take every packet and yet, by a window of zero, none of a body; the
//! framework waits for such a window for ever, so time is kept here.

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Extensions, Service, ServiceRequest, ServiceResponse};
use actix_web::http::Version;
use actix_web::rt::net::TcpStream;
use actix_web::{HttpMessage as _, HttpRequest};
use bytes::Bytes;
use granary_storage::{Error, ErrorKind, Result, What};
use std::any::Any;
use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Bytes that an HTTP/2 body hands over at a time; a peer that takes so many has taken something.
const SLICE: usize = 16 * 1024;

/// The connections of all workers.
pub(super) struct Connections {
    open: AtomicUsize,
    most: usize,
    streams: usize,
    reader_idle: Duration,
}

impl Connections {
    /// None yet. `most` are served at once; `streams` requests run at once on one; one whose peer takes nothing of
    /// what it asked for is closed after `reader_idle`.
    pub(super) fn new(most: usize, streams: usize, reader_idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            most,
            streams,
            reader_idle,
        })
    }

    /// Takes note of a new one.
    pub(super) fn opened(self: &Arc<Self>, io: &dyn Any, data: &mut Extensions) {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        data.insert(Rc::new(Connection {
            has_room: before < self.most,
            running: Cell::new(0),
            taken: Cell::new(Instant::now()),
            is_watched: Cell::new(false),
            socket: io.downcast_ref().and_then(http2_socket),
            all: self.clone(),
        }));
    }
}

/// A second handle on the socket of a TLS connection that speaks HTTP/2. Without one (no descriptor is free) the
/// connection is not watched.
fn http2_socket(io: &TlsStream<TcpStream>) -> Option<OwnedFd> {
    let (socket, tls) = io.get_ref();
    (tls.alpn_protocol() == Some(b"h2"))
        .then(|| rustix::io::fcntl_dupfd_cloexec(socket, 0).ok())
        .flatten()
}

/// One connection.
pub(super) struct Connection {
    has_room: bool,
    /// Requests whose answers are not out yet; counted for HTTP/2 only.
    running: Cell<usize>,
    /// When the peer last took something.
    taken: Cell<Instant>,
    is_watched: Cell<bool>,
    socket: Option<OwnedFd>,
    all: Arc<Connections>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the request may be served, as far as its connection goes.
///
/// # Errors
/// `Unavailable` when there are more connections than may be, or more requests on this one.
pub(super) fn admit(request: &HttpRequest) -> Result<()> {
    let Some(connection) = request.conn_data::<Rc<Connection>>() else {
        return Ok(());
    };
    let refuse = |message| Err(Error::new(ErrorKind::Unavailable, What::Request, message));
    if !connection.has_room {
        return refuse("too many connections are open; try again shortly");
    }
    if request.extensions().contains::<OneTooMany>() {
        return refuse("too many requests run on this connection; let some of them end first");
    }
    Ok(())
}

/// Ends a connection for which there was no room with its first answer, and watches over answers by HTTP/2.
pub(super) fn watch<S>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = std::result::Result<ServiceResponse<BoxBody>, actix_web::Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
{
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    let has_room = connection.as_ref().is_none_or(|connection| connection.has_room);
    let running = connection.filter(|_| request.version() == Version::HTTP_2).map(Running::begin);
    if running.as_ref().is_some_and(Running::is_one_too_many) {
        request.extensions_mut().insert(OneTooMany);
    }
    let answer = service.call(request);
    async move {
        let mut response = answer.await?;
        if !has_room {
            response
                .response_mut()
                .head_mut()
                .set_connection_type(actix_web::http::ConnectionType::Close);
        }
        let Some(running) = running else { return Ok(response) };
        running.0.watch_reader();
        Ok(response.map_body(|_, body| {
            BoxBody::new(Watched {
                body,
                ready: Bytes::new(),
                running,
            })
        }))
    }
}

/// Marks a request that its connection already has enough of.
struct OneTooMany;

/// A request that runs, until its answer is out.
struct Running(Rc<Connection>);

impl Running {
    fn begin(connection: Rc<Connection>) -> Self {
        connection.running.set(connection.running.get() + 1);
        Self(connection)
    }

    fn is_one_too_many(&self) -> bool {
        self.0.running.get() > self.0.all.streams
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.taken.set(Instant::now());
    }
}

impl Connection {
    /// Closes the connection when its peer takes nothing for too long, as long as there is something to take.
    fn watch_reader(self: &Rc<Self>) {
        self.taken.set(Instant::now());
        if self.socket.is_none() || self.is_watched.replace(true) {
            return;
        }
        let connection = Rc::downgrade(self);
        actix_web::rt::spawn(async move {
            let mut wait = Duration::ZERO;
            loop {
                tokio::time::sleep(wait).await;
                // Gone when the connection and all of its answers are.
                let Some(connection) = connection.upgrade() else { return };
                if connection.running.get() == 0 {
                    connection.is_watched.set(false);
                    return;
                }
                let (idle, most) = (connection.taken.get().elapsed(), connection.all.reader_idle);
                if idle >= most {
                    if let Some(socket) = &connection.socket {
                        tracing::debug!("a connection is closed: its peer takes nothing of what it asked for");
                        let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
                    }
                    return;
                }
                wait = most.saturating_sub(idle);
            }
        });
    }
}

/// An answer by HTTP/2, handed over in slices, so that it shows when the peer takes nothing.
struct Watched {
    body: BoxBody,
    ready: Bytes,
    running: Running,
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::result::Result<Bytes, Self::Error>>> {
        // Asked for only when what was given before is out.
        self.running.0.taken.set(Instant::now());
        if self.ready.is_empty() {
            match Pin::new(&mut self.body).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.ready = bytes,
                other => return other,
            }
        }
        let len = self.ready.len().min(SLICE);
        Poll::Ready(Some(Ok(self.ready.split_to(len))))
    }
}
