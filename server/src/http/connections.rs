//! What is known of each connection: whether there is a place for it, and, over HTTP/2,
//! what goes on in it.

use super::http2::{Http2, Running, Watched};
use actix_web::body::BoxBody;
use actix_web::dev::{Extensions, Service, ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Version};
use actix_web::{HttpMessage as _, HttpRequest};
use granary_storage::{Error, ErrorKind, Result, What};
use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How many connections and requests there may be, and how long they may be idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections served at once, of all workers.
    pub(crate) connections: usize,
    /// Requests that run at once on one HTTP/2 connection.
    pub(crate) h2_streams: usize,
    /// Requests that run at once on all HTTP/2 connections.
    pub(crate) h2_requests: usize,
    /// How long a client may take none of the bytes that are there for it.
    pub(crate) reader_idle: Duration,
    /// How long a connection is kept on which nothing is asked.
    pub(crate) keep_alive: Duration,
}

/// The connections of all workers.
pub(super) struct Connections {
    pub(super) served: AtomicUsize,
    /// Requests by HTTP/2 whose answers are not out yet.
    pub(super) requests: AtomicUsize,
    pub(super) bounds: Bounds,
    /// Whether the server is on its way down.
    pub(super) draining: watch::Receiver<bool>,
}

impl Connections {
    /// None yet.
    pub(super) fn new(bounds: Bounds, draining: watch::Receiver<bool>) -> Arc<Self> {
        Arc::new(Self {
            served: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            bounds,
            draining,
        })
    }

    /// Takes note of a new one.
    pub(super) fn opened(self: &Arc<Self>, io: &dyn Any, data: &mut Extensions) {
        let connection = Rc::new(Connection {
            has_place: Cell::new(false),
            http2: Http2::of(io),
            all: self.clone(),
        });
        connection.takes_place();
        Http2::watch_over(&connection);
        data.insert(connection);
    }
}

/// One connection.
pub(super) struct Connection {
    has_place: Cell<bool>,
    /// Only over HTTP/2.
    pub(super) http2: Option<Http2>,
    pub(super) all: Arc<Connections>,
}

impl Connection {
    /// Whether it has a place among those that are served, or gets one now.
    fn takes_place(&self) -> bool {
        let is_free = |served| (served < self.all.bounds.connections).then_some(served + 1);
        if !self.has_place.get() && self.all.served.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_free).is_ok() {
            self.has_place.set(true);
        }
        self.has_place.get()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.has_place.get() {
            self.all.served.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Marks a request that is not served, and says why.
#[derive(Clone, Copy)]
struct Refused(&'static str);

/// Whether the request may be served, as far as its connection goes.
///
/// # Errors
/// `Unavailable` when there are more connections than may be, or more requests on this one or on all.
pub(super) fn admit(request: &HttpRequest) -> Result<()> {
    match request.extensions().get::<Refused>() {
        Some(Refused(why)) => Err(Error::new(ErrorKind::Unavailable, What::Request, *why)),
        None => Ok(()),
    }
}

/// Marks what is too much, closes an HTTP/1.1 connection that has no place with its answer, and has HTTP/2 watched.
pub(super) fn watch<S>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = std::result::Result<ServiceResponse<BoxBody>, actix_web::Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
{
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    let has_place = connection.as_ref().is_none_or(|connection| connection.takes_place());
    let running = connection.filter(|_| request.version() == Version::HTTP_2).and_then(Running::begin);
    let refusal = match &running {
        _ if !has_place => Some("too many connections are open; try again shortly"),
        Some(running) => running.is_too_much(),
        None => None,
    };
    if let Some(why) = refusal {
        request.extensions_mut().insert(Refused(why));
    }
    let answer = service.call(request);
    async move {
        let mut response = answer.await?;
        if !has_place {
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        Ok(match running {
            Some(running) => {
                running.writable().await;
                response.map_body(|_, body| BoxBody::new(Watched::new(body, running)))
            }
            None => response,
        })
    }
}
