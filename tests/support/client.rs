//! Somebody who calls the server over HTTP, by an ordinary client library.

use super::{Answer, PATIENCE, json_shape};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use ureq::config::AutoHeaderValue;
use ureq::{Agent, AsSendBody, http};

/// A caller with credentials, or with none. Survives a restart of the server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    address: Arc<Mutex<SocketAddr>>,
    authorization: Option<String>,
    meets_faults: bool,
}

impl Client {
    /// Somebody without credentials.
    pub(crate) fn new(address: Arc<Mutex<SocketAddr>>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .proxy(None)
            // A connection a request: none is left open that a stopping server would have to wait for.
            .max_idle_connections(0)
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .user_agent(AutoHeaderValue::None)
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            agent: config.new_agent(),
            address,
            authorization: None,
            meets_faults: false,
        }
    }

    /// The same caller where the server is in trouble: 5xx is an answer like any other, of the same shape.
    pub(crate) fn meets_faults(&self) -> Self {
        Self {
            meets_faults: true,
            ..self.clone()
        }
    }

    /// The same caller with another `Authorization`.
    pub(crate) fn authorized(&self, value: impl Into<String>) -> Self {
        Self {
            authorization: Some(value.into()),
            ..self.clone()
        }
    }

    /// The same caller with a name and a password.
    pub(crate) fn basic(&self, name: &str, password: &str) -> Self {
        self.authorized(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    /// The same caller with a token.
    pub(crate) fn bearer(&self, token: &str) -> Self {
        self.authorized(format!("Bearer {token}"))
    }

    /// The `Authorization` in use.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// The address that is called.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    /// A request of any method.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call {
            client: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
        }
    }

    /// `GET`.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send()
    }

    /// `HEAD`.
    pub(crate) fn head(&self, path: &str) -> Answer {
        self.call("HEAD", path).send()
    }

    /// `DELETE`.
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send()
    }

    /// `POST` of nothing.
    pub(crate) fn post(&self, path: &str) -> Answer {
        self.call("POST", path).body(b"")
    }
}

/// A request in the making.
pub(crate) struct Call<'c> {
    client: &'c Client,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
}

impl Call<'_> {
    /// The same request with one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends it without a body.
    #[track_caller]
    pub(crate) fn send(self) -> Answer {
        self.run(())
    }

    /// Sends it with these bytes and their `Content-Length`.
    #[track_caller]
    pub(crate) fn body(self, body: &[u8]) -> Answer {
        self.run(body)
    }

    /// Sends it with what a reader gives, as `Transfer-Encoding: chunked`.
    #[track_caller]
    pub(crate) fn stream(self, mut body: impl std::io::Read) -> Answer {
        self.run(ureq::SendBody::from_reader(&mut body))
    }

    /// Sends it without a body; gives nothing when the answer is cut off before its end, or never comes.
    #[track_caller]
    pub(crate) fn attempt(self) -> Option<Answer> {
        self.try_run(()).ok()
    }

    /// The same with these bytes.
    #[track_caller]
    pub(crate) fn attempt_body(self, body: &[u8]) -> Option<Answer> {
        self.try_run(body).ok()
    }

    #[track_caller]
    fn run(self, body: impl AsSendBody) -> Answer {
        self.try_run(body).unwrap_or_else(|problem| panic!("{problem}"))
    }

    #[track_caller]
    fn try_run(self, body: impl AsSendBody) -> Result<Answer, String> {
        let (asked, mut response) = self.open(body)?;
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let answer = Answer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response
                .body_mut()
                .with_config()
                .limit(u64::MAX)
                .read_to_vec()
                .map_err(|error| format!("{asked}: {error}"))?,
            asked,
        };
        match (is_oci(&self.path), self.client.meets_faults) {
            (true, false) => json_shape::check(&answer, self.method == "HEAD"),
            (true, true) => json_shape::check_shape(&answer, self.method == "HEAD"),
            (false, _) => {}
        }
        Ok(answer)
    }

    /// Sends it and leaves the body of the answer to be read.
    #[track_caller]
    pub(crate) fn open_reader(self) -> impl std::io::Read {
        let (asked, response) = self.open(()).unwrap();
        assert_eq!(response.status(), 200, "{asked}");
        response.into_body().into_with_config().limit(u64::MAX).reader()
    }

    fn open(&self, body: impl AsSendBody) -> Result<(String, http::Response<ureq::Body>), String> {
        let asked = format!("{} {}", self.method, self.path);
        let mut request =
            http::Request::builder()
                .method(self.method.as_str())
                .uri(format!("http://{}{}", self.client.address(), self.path));
        if let Some(authorization) = &self.client.authorization {
            request = request.header("Authorization", header_value(authorization));
        }
        for (name, value) in &self.headers {
            request = request.header(name, header_value(value));
        }
        let request = request.body(body).unwrap();
        let response = self.client.agent.run(request);
        let response = response.map_err(|error| format!("{asked}: {error}"))?;
        Ok((asked, response))
    }
}

/// Tests send what is not ASCII, too.
fn header_value(text: &str) -> http::HeaderValue {
    http::HeaderValue::from_bytes(text.as_bytes()).unwrap()
}

/// Whether a path belongs to the OCI API.
pub(crate) fn is_oci(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    path == "/v2" || path.starts_with("/v2/")
}
