//! Which servers are spoken to: those on this machine, and no other.

use anyhow::{Context as _, Result, ensure};
use hyper::Uri;
use hyper::header::HeaderValue;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A server on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// What the `Host` header says.
    pub(crate) host: HeaderValue,
}

impl Origin {
    /// The server that an absolute URL names: the base URL, a redirect, a `Location`, the realm of a challenge.
    ///
    /// # Errors
    /// Unless it is `http` to a loopback address. Names other than `localhost` are not looked up.
    pub(crate) fn of(url: &Uri) -> Result<Self> {
        ensure!(url.scheme_str() == Some("http"), "only http:// is spoken: {url}");
        let authority = url.authority().with_context(|| format!("there is no host in {url}"))?;
        let name = authority.host().trim_matches(['[', ']']);
        let ip = if name == "localhost" {
            IpAddr::from(Ipv4Addr::LOCALHOST)
        } else {
            name.parse()
                .ok()
                .with_context(|| format!("refused: {name} is not a loopback address"))?
        };
        ensure!(ip.is_loopback(), "refused: {ip} is not a loopback address");
        Ok(Self {
            address: SocketAddr::new(ip, url.port_u16().unwrap_or(80)),
            host: HeaderValue::from_str(authority.as_str())?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to() {
        for bad in [
            "http://10.0.0.1:5000",
            "http://example.org",
            "http://localhost.example.org",
            "https://127.0.0.1",
            "http://0.0.0.0:1",
            "http://[2001:db8::1]",
            "/v2/",
        ] {
            assert!(Origin::of(&bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in [
            "http://127.0.0.1:5000",
            "http://localhost:1",
            "http://[::1]:8080/x",
            "http://127.9.9.9",
        ] {
            assert!(Origin::of(&good.parse().unwrap()).is_ok(), "{good}");
        }
    }

    #[test]
    fn the_port_is_80_unless_the_url_says_otherwise() {
        let origin = Origin::of(&"http://127.0.0.1/v2/".parse().unwrap()).unwrap();
        assert_eq!(origin.address.to_string(), "127.0.0.1:80");
        assert_eq!(origin.host, "127.0.0.1");
        let origin = Origin::of(&"http://localhost:5000".parse().unwrap()).unwrap();
        assert_eq!(origin.address.to_string(), "127.0.0.1:5000");
        assert_eq!(origin.host, "localhost:5000");
    }
}
