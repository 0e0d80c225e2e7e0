//! What the framework leaves open over HTTP/2: how many requests one connection may have,
//! peers that ask and take nothing, and connections on which nothing is asked.
//!
//! Over HTTP/1.1 the kernel notices a peer that takes nothing (`TCP_USER_TIMEOUT`), and an
//! idle connection is closed. Over HTTP/2 a peer can take every packet and yet, by a window
//! of zero, none of an answer, which is then waited for without end; and it may stay as long
//! as it answers pings. No single stream can be ended from here, so the connection is.

use super::connections::{Bounds, Connection};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep};

/// Bytes that an answer hands over at a time; a peer that takes so many has taken something.
const SLICE: usize = 16 * 1024;
/// How long a suspicion has to last.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// How long to wait before a connection that takes no more is looked at again.
const FULL: Duration = Duration::from_millis(5);
/// A connection with so many times the requests that it may have is closed: refusing, too, takes memory.
const PATIENCE: usize = 2;

/// A connection that speaks HTTP/2.
pub(super) struct Http2 {
    /// A second handle on its socket.
    socket: OwnedFd,
    /// Requests whose answers are not out yet.
    running: Cell<usize>,
    /// When the last of them was.
    idle_since: Cell<Instant>,
    /// When the peer last took something of each answer that is on its way.
    taken: RefCell<BTreeMap<u64, Instant>>,
    answers: Cell<u64>,
}

/// What the state of a connection calls for.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing for so long.
    Wait(Duration),
    /// An answer has not been taken for too long, unless the network is to blame.
    Suspicious,
    /// Nothing is asked.
    Idle,
}

impl Http2 {
    /// That side of a new connection; none when it speaks HTTP/1.1. One that no descriptor is free for is closed.
    pub(super) fn of(io: &dyn Any) -> Option<Self> {
        let (socket, tls) = io.downcast_ref::<TlsStream<TcpStream>>()?.get_ref();
        if tls.alpn_protocol() != Some(b"h2") {
            return None;
        }
        let Ok(own) = rustix::io::fcntl_dupfd_cloexec(socket, 0) else {
            // Unwatched it would have no limits, and that at a moment when there is too much already.
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
            return None;
        };
        Some(Self {
            socket: own,
            running: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            taken: RefCell::default(),
            answers: Cell::new(0),
        })
    }

    /// Watches over a connection as long as it lives.
    pub(super) fn watch_over(connection: &Rc<Connection>) {
        if connection.http2.is_some() {
            actix_web::rt::spawn(watch(
                Rc::downgrade(connection),
                connection.all.bounds,
                connection.all.draining.clone(),
            ));
        }
    }

    fn verdict(&self, bounds: &Bounds, is_draining: bool) -> Verdict {
        let left = |since: Instant, most: Duration| most.checked_sub(since.elapsed()).filter(|left| !left.is_zero());
        if self.running.get() == 0 {
            return match left(self.idle_since.get(), bounds.keep_alive) {
                Some(left) if !is_draining => Verdict::Wait(left),
                _ => Verdict::Idle,
            };
        }
        let most = if is_draining { SECOND_LOOK } else { bounds.reader_idle };
        match self.taken.borrow().values().min() {
            None => Verdict::Wait(most),
            Some(oldest) => left(*oldest, bounds.reader_idle).map_or(Verdict::Suspicious, |left| Verdict::Wait(left.min(most))),
        }
    }

    /// Whether the kernel would take more for the peer. Where it would not, the peer may be slow but is reading, or it is
    /// gone and the kernel will say so.
    fn is_writable(&self) -> bool {
        let mut socket = [PollFd::new(&self.socket, PollFlags::OUT)];
        poll(&mut socket, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Waits until the kernel takes more for the peer: what is handed to the framework before that only fills the memory.
    async fn writable(&self) {
        while !self.is_writable() {
            sleep(FULL).await;
        }
    }

    fn close(&self, why: &'static str) {
        tracing::debug!("an HTTP/2 connection is closed: {why}");
        // It may be closed already.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }

    /// Ends it so that the peer still gets what is on its way.
    fn end(&self) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }
}

async fn watch(connection: Weak<Connection>, bounds: Bounds, mut draining: tokio::sync::watch::Receiver<bool>) {
    // Whatever is asked while it waits is looked at soon enough.
    let longest = bounds.reader_idle.min(bounds.keep_alive);
    let mut wait = longest;
    let mut is_suspected = false;
    let mut has_ended = false;
    loop {
        let is_draining = *draining.borrow_and_update();
        if is_draining && !has_ended {
            wait = wait.min(SECOND_LOOK);
        }
        tokio::select! {
            () = sleep(wait) => {}
            // An error means that the server is gone.
            _ = draining.changed(), if !is_draining => {}
        }
        let Some(connection) = connection.upgrade() else { return };
        let Some(http2) = &connection.http2 else { return };
        let verdict = http2.verdict(&bounds, *draining.borrow());
        let was_suspected = std::mem::take(&mut is_suspected);
        wait = match verdict {
            _ if has_ended => return http2.close("nothing was asked on it"),
            Verdict::Wait(left) => left.min(longest),
            // What the framework still holds for the peer goes out first.
            Verdict::Idle | Verdict::Suspicious if !http2.is_writable() => SECOND_LOOK,
            Verdict::Idle if was_suspected => {
                http2.end();
                has_ended = true;
                bounds.reader_idle
            }
            Verdict::Suspicious if was_suspected => return http2.close("its peer takes nothing of what it asked for"),
            Verdict::Idle | Verdict::Suspicious => {
                is_suspected = true;
                SECOND_LOOK
            }
        };
    }
}

/// A request by HTTP/2 that runs, until its answer is out.
pub(super) struct Running(Rc<Connection>);

impl Running {
    /// Begins one; none on a connection that is not watched.
    pub(super) fn begin(connection: Rc<Connection>) -> Option<Self> {
        let http2 = connection.http2.as_ref()?;
        http2.running.set(http2.running.get() + 1);
        let of_all = connection.all.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let bounds = &connection.all.bounds;
        // Of all together, whoever has no more than its share is not to blame.
        let share = of_all / connection.all.served.load(Ordering::Relaxed).max(1);
        if http2.running.get() > bounds.h2_streams.saturating_mul(PATIENCE)
            || (of_all > bounds.h2_requests.saturating_mul(PATIENCE) && http2.running.get() >= share)
        {
            http2.close("its peer asks for ever more and waits for no answer");
        }
        Some(Self(connection))
    }

    /// Why it is too much, if it is.
    pub(super) fn is_too_much(&self) -> Option<&'static str> {
        let (all, bounds) = (&self.0.all, &self.0.all.bounds);
        if self.http2().is_some_and(|http2| http2.running.get() > bounds.h2_streams) {
            Some("too many requests run on this connection; let some of them end first")
        } else if all.requests.load(Ordering::Relaxed) > bounds.h2_requests {
            Some("too many requests run at once; try again shortly")
        } else {
            None
        }
    }

    /// Waits until the peer has room for an answer. Until then the request counts among those that run.
    pub(super) async fn writable(&self) {
        if let Some(http2) = self.http2() {
            http2.writable().await;
        }
    }

    fn http2(&self) -> Option<&Http2> {
        self.0.http2.as_ref()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.all.requests.fetch_sub(1, Ordering::Relaxed);
        if let Some(http2) = self.http2() {
            http2.running.set(http2.running.get() - 1);
            http2.idle_since.set(Instant::now());
        }
    }
}

/// An answer by HTTP/2, handed over in slices, so that it shows when the peer takes nothing of it.
pub(super) struct Watched {
    body: BoxBody,
    ready: Bytes,
    number: u64,
    running: Running,
    /// Runs while the kernel takes no more for the peer.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(body: BoxBody, running: Running) -> Self {
        let number = running.http2().map_or(0, |http2| http2.answers.replace(http2.answers.get() + 1));
        let answer = Self {
            body,
            ready: Bytes::new(),
            number,
            running,
            pause: None,
        };
        answer.something_was_taken();
        answer
    }

    fn something_was_taken(&self) {
        if let Some(http2) = self.running.http2() {
            http2.taken.borrow_mut().insert(self.number, Instant::now());
        }
    }

    /// Whether the kernel takes more for the peer. What is given out before that the framework would only keep, and nobody
    /// would count it.
    fn has_room(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            if self.running.http2().is_none_or(Http2::is_writable) {
                self.pause = None;
                return true;
            }
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(FULL)));
            if pause.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.pause = None;
        }
    }

    /// There is nothing to be taken.
    fn does_not_count(&self) {
        if let Some(http2) = self.running.http2() {
            http2.taken.borrow_mut().remove(&self.number);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.does_not_count();
    }
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        // Asked for only when what was given before is out.
        self.something_was_taken();
        if self.ready.is_empty() {
            match Pin::new(&mut self.body).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.ready = bytes,
                Poll::Pending => {
                    // Now it is the store that is waited for.
                    self.does_not_count();
                    return Poll::Pending;
                }
                ended => return ended,
            }
        }
        if !self.has_room(cx) {
            return Poll::Pending;
        }
        let len = self.ready.len().min(SLICE);
        Poll::Ready(Some(Ok(self.ready.split_to(len))))
    }
}
