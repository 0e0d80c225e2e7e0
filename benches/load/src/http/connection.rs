//! One HTTP/1.1 connection for each worker, so that "8 connections" means exactly that.

use super::body::{Payload, PayloadBody};
use super::challenge::{self, Challenge};
use super::loopback::Origin;
use super::verify::drain;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What requests call this program.
const USER_AGENT: &str = concat!("granary-load/", env!("CARGO_PKG_VERSION"));
/// The read buffer of a connection, in bytes.
const BUFFER: usize = 512 * 1024;

/// The server under load, and the credentials for it.
pub(crate) struct Target {
    origin: Origin,
    basic: Option<HeaderValue>,
    /// Whether Basic is sent at once, rather than a token after a challenge.
    basic_at_once: bool,
    /// `Authorization` headers by what they are for.
    tokens: Mutex<HashMap<String, HeaderValue>>,
}

impl Target {
    /// A server by its base URL, without credentials.
    ///
    /// # Errors
    /// Unless the URL is `http` to a loopback address.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        Ok(Self {
            origin: Origin::of(&uri)?,
            basic: None,
            basic_at_once: false,
            tokens: Mutex::default(),
        })
    }

    /// The same server with credentials. They fetch tokens where it asks for them, or go along with each request if `at_once`.
    ///
    /// # Errors
    /// When a header cannot carry them.
    pub(crate) fn with_credentials(mut self, user: &str, password: &str, at_once: bool) -> Result<Self> {
        self.basic = Some(challenge::basic(user, password)?);
        self.basic_at_once = at_once;
        Ok(self)
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, HeaderValue>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request.
#[derive(Clone)]
pub(crate) struct Call<'c> {
    method: Method,
    path: &'c str,
    headers: &'c [(HeaderName, &'c str)],
    payload: Payload,
}

impl<'c> Call<'c> {
    /// A request for a path with its query, that carries nothing.
    pub(crate) fn new(method: Method, path: &'c str) -> Self {
        Self {
            method,
            path,
            headers: &[],
            payload: Payload::Empty,
        }
    }

    /// A GET.
    pub(crate) fn get(path: &'c str) -> Self {
        Self::new(Method::GET, path)
    }

    /// With headers.
    pub(crate) fn headers(mut self, headers: &'c [(HeaderName, &'c str)]) -> Self {
        self.headers = headers;
        self
    }

    /// With a body.
    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }
}

/// An answer that was read to its end.
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Reply {
    /// Checks the status; `what` was asked for.
    ///
    /// # Errors
    /// When it is none of those wanted.
    pub(crate) fn require(&self, wanted: &[u16], what: &str) -> Result<()> {
        require(self.status, wanted, what)
    }
}

/// Checks a status, where the body is still to be read.
///
/// # Errors
/// When it is none of those wanted.
pub(crate) fn require(status: StatusCode, wanted: &[u16], what: &str) -> Result<()> {
    ensure!(wanted.contains(&status.as_u16()), "{what}: {}", status.as_u16());
    Ok(())
}

/// A worker's connection to the target, and those it needs for redirects and tokens elsewhere.
pub(crate) struct Connection {
    target: Arc<Target>,
    senders: HashMap<SocketAddr, SendRequest<PayloadBody>>,
    /// Connections made.
    pub(crate) connects: u64,
    /// Tokens fetched.
    pub(crate) token_fetches: u64,
    /// Requests sent, those that were answered by a challenge and those for tokens included.
    pub(crate) requests: u64,
}

impl Connection {
    /// One that connects with its first request.
    pub(crate) fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            senders: HashMap::new(),
            connects: 0,
            token_fetches: 0,
            requests: 0,
        }
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub(crate) async fn fetch(&mut self, call: Call<'_>) -> Result<Reply> {
        let (parts, body) = self.send(call).await?.into_parts();
        let body = body.collect().await.map_err(|error| anyhow!("read: {error}"))?.to_bytes();
        Ok(Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    /// Sends a request; answers a Bearer challenge once, also when a token has expired, and follows one redirect of a GET.
    ///
    /// # Errors
    /// When there is no answer, no token, or the server points elsewhere than to this machine. A status is never an error.
    pub(crate) async fn send(&mut self, call: Call<'_>) -> Result<Response<Incoming>> {
        let target = self.target.clone();
        let key = challenge::scope_key(&call.method, call.path);
        let token = target.tokens().get(&key).cloned();
        let mut authorization = token.or_else(|| target.basic.clone().filter(|_| target.basic_at_once));
        let mut response = self.send_once(&target.origin, &call, authorization.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(challenge) = Challenge::parse(header_text(response.headers(), &header::WWW_AUTHENTICATE))?
        {
            drain(response).await?;
            let token = challenge::bearer(&self.token(&challenge).await?)?;
            target.tokens().insert(key, token.clone());
            response = self.send_once(&target.origin, &call, Some(&token)).await?;
            authorization = Some(token);
        }
        if call.method == Method::GET && response.status().is_redirection() && response.status() != StatusCode::NOT_MODIFIED {
            response = self.follow(&call, response, authorization.as_ref()).await?;
        }
        Ok(response)
    }

    /// The status of the first answer to a GET, whatever it asks for.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn probe(&mut self, path: &str) -> Result<StatusCode> {
        let origin = self.target.origin.clone();
        Ok(self.send_once(&origin, &Call::get(path), None).await?.status())
    }

    async fn follow(
        &mut self,
        call: &Call<'_>,
        response: Response<Incoming>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>> {
        let location: Uri = header_text(response.headers(), &header::LOCATION).parse().context("redirect")?;
        drain(response).await?;
        let there = Call {
            path: path_and_query(&location),
            ..call.clone()
        };
        if location.host().is_none() {
            let origin = self.target.origin.clone();
            return self.send_once(&origin, &there, authorization).await;
        }
        // The credentials are for the target alone.
        self.send_once(&Origin::of(&location)?, &there, None).await
    }

    async fn token(&mut self, challenge: &Challenge) -> Result<String> {
        self.token_fetches += 1;
        let basic = self.target.basic.clone();
        let path = challenge.token_path();
        let response = self
            .send_once(&Origin::of(&challenge.realm)?, &Call::get(&path), basic.as_ref())
            .await?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| anyhow!("token: {error}"))?
            .to_bytes();
        require(status, &[200], "token")?;
        let answer: serde_json::Value = serde_json::from_slice(&body).context("token")?;
        let token = answer["token"].as_str().or_else(|| answer["access_token"].as_str());
        Ok(token.context("token: there is none in the answer")?.to_owned())
    }

    async fn send_once(&mut self, origin: &Origin, call: &Call<'_>, authorization: Option<&HeaderValue>) -> Result<Response<Incoming>> {
        let reused = self.senders.contains_key(&origin.address);
        match self.try_once(origin, call, authorization).await {
            // An idle connection that the server has closed is worth a second try, nothing else is.
            Err(_) if reused && !self.senders.contains_key(&origin.address) => self.try_once(origin, call, authorization).await,
            outcome => outcome,
        }
    }

    /// A sender that fails to send is forgotten.
    async fn try_once(&mut self, origin: &Origin, call: &Call<'_>, authorization: Option<&HeaderValue>) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(call.path)
            .header(header::HOST, origin.host.clone())
            .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        for (name, value) in call.headers {
            request = request.header(name, *value);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        let request = request.body(call.payload.body())?;
        let mut sender = self.sender(origin.address).await?;
        self.requests += 1;
        let response = sender.send_request(request).await.map_err(|error| anyhow!("send: {error}"))?;
        self.senders.insert(origin.address, sender);
        Ok(response)
    }

    /// The sender of the connection that is there and still open, or of a new one.
    async fn sender(&mut self, address: SocketAddr) -> Result<SendRequest<PayloadBody>> {
        if let Some(mut sender) = self.senders.remove(&address)
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        self.connect(address).await
    }

    async fn connect(&mut self, address: SocketAddr) -> Result<SendRequest<PayloadBody>> {
        let stream = tokio::net::TcpStream::connect(address)
            .await
            .map_err(|error| anyhow!("connect: {error}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| anyhow!("handshake: {error}"))?;
        // What goes wrong with the connection, the sender reports.
        tokio::spawn(async move { drop(connection.await) });
        self.connects += 1;
        Ok(sender)
    }

    /// The path on the target that a `Location` header names.
    ///
    /// # Errors
    /// When there is none, or it is on another server.
    pub(crate) fn location(&self, headers: &HeaderMap) -> Result<String> {
        let location = header_text(headers, &header::LOCATION);
        if location.starts_with('/') {
            return Ok(location.to_owned());
        }
        if location.is_empty() {
            bail!("there is no Location");
        }
        let url: Uri = location.parse().context("Location")?;
        ensure!(
            Origin::of(&url)?.address == self.target.origin.address,
            "the Location is on another server: {location}"
        );
        Ok(path_and_query(&url).to_owned())
    }
}

fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn path_and_query(url: &Uri) -> &str {
    url.path_and_query().map_or("/", |path| path.as_str())
}
