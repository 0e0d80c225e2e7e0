//! Where the client thinks it is talking to: `scheme://host[:port]`. Used in challenges
//! only; tokens are bound to a fixed service name, never to this.

use actix_web::HttpRequest;
use std::net::IpAddr;

/// What decides the origin.
pub(crate) struct Origins {
    /// `server.public_url`, without a trailing slash; wins when set.
    pub(crate) public_url: Option<String>,
    /// Whether a peer may speak for its clients (`server.trusted_proxies`).
    pub(crate) trusts: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Whether this server itself speaks TLS.
    pub(crate) tls: bool,
    /// The address that the server listens on, for requests without a usable `Host`.
    pub(crate) fallback: String,
}

/// The origin of one request.
pub(super) fn origin(request: &HttpRequest, origins: &Origins) -> String {
    if let Some(public_url) = &origins.public_url {
        return public_url.clone();
    }
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let trusted = request.peer_addr().is_some_and(|peer| (origins.trusts)(peer.ip()));
    let forwarded = |name: &str| {
        trusted
            .then(|| header(name))
            .flatten()
            .map(|value| value.split(',').next().unwrap_or(value).trim())
    };
    let scheme = if origins.tls || forwarded("x-forwarded-proto") == Some("https") {
        "https"
    } else {
        "http"
    };
    let host = forwarded("x-forwarded-host")
        .or_else(|| header("host"))
        // HTTP/2 has no Host; its `:authority` is here.
        .or_else(|| request.uri().authority().map(|authority| authority.as_str()))
        .filter(|host| is_host(host))
        .unwrap_or(&origins.fallback);
    format!("{scheme}://{host}")
}

/// Whether `text` can stand in a header and a URL as a host and port: the client wrote it.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn origins(public_url: Option<&str>) -> Origins {
        let trusts = Box::new(|ip: IpAddr| ip == IpAddr::from([10, 0, 0, 1]));
        Origins {
            public_url: public_url.map(str::to_owned),
            trusts,
            tls: false,
            fallback: "127.0.0.1:5000".into(),
        }
    }

    #[test]
    fn the_public_url_wins() {
        let request = TestRequest::default().insert_header(("host", "evil.example")).to_http_request();
        assert_eq!(
            origin(&request, &origins(Some("https://registry.example"))),
            "https://registry.example"
        );
    }

    #[test]
    fn a_host_that_would_break_the_header_is_not_echoed() {
        let request = TestRequest::default().insert_header(("host", "a\",scope=\"b")).to_http_request();
        assert_eq!(origin(&request, &origins(None)), "http://127.0.0.1:5000");
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_its_clients() {
        let proxied = |peer: [u8; 4]| {
            TestRequest::default()
                .peer_addr((peer, 4711).into())
                .insert_header(("host", "inner:5000"))
                .insert_header(("x-forwarded-proto", "https"))
                .insert_header(("x-forwarded-host", "outer.example"))
                .to_http_request()
        };
        assert_eq!(origin(&proxied([10, 0, 0, 1]), &origins(None)), "https://outer.example");
        assert_eq!(origin(&proxied([10, 0, 0, 2]), &origins(None)), "http://inner:5000");
    }
}
