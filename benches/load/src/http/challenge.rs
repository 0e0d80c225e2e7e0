//! Credentials: Basic, and the Bearer challenges of registries (distribution's token documentation).

use super::escape;
use anyhow::{Context as _, Result};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use hyper::header::HeaderValue;
use hyper::{Method, Uri};

/// What a server asks a client to fetch a token for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Where tokens are issued.
    pub(super) realm: Uri,
    service: Option<String>,
    scopes: Vec<String>,
}

impl Challenge {
    /// Reads a `WWW-Authenticate` header; `None` when it is not a Bearer challenge.
    ///
    /// # Errors
    /// When the realm is missing or not a URL.
    pub(super) fn parse(header: &str) -> Result<Option<Self>> {
        let Some((scheme, parameters)) = header.split_once(' ') else {
            return Ok(None);
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(None);
        }
        let (mut realm, mut service, mut scopes) = (None, None, Vec::new());
        for (name, value) in split(parameters).iter().filter_map(|parameter| parameter.split_once('=')) {
            let value = value.trim().trim_matches('"').to_owned();
            match name.trim() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                "scope" => scopes.extend(value.split_whitespace().map(str::to_owned)),
                _ => {}
            }
        }
        let realm = realm.context("the challenge has no realm")?;
        Ok(Some(Self {
            realm: realm
                .parse()
                .with_context(|| format!("the realm of the challenge is not a URL: {realm}"))?,
            service,
            scopes,
        }))
    }

    /// Path and query of the request for a token.
    pub(super) fn token_path(&self) -> String {
        let service = self.service.iter().map(|service| format!("service={}", escape(service)));
        let scopes = self.scopes.iter().map(|scope| format!("scope={}", escape(scope)));
        let query: Vec<String> = service.chain(scopes).collect();
        format!("{}?{}", self.realm.path(), query.join("&"))
    }
}

/// The parameters of a challenge: separated by commas, but for those between quotes.
fn split(parameters: &str) -> Vec<String> {
    let (mut parts, mut quoted) = (vec![String::new()], false);
    for character in parameters.chars() {
        quoted ^= character == '"';
        match parts.last_mut() {
            Some(part) if quoted || character != ',' => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    parts
}

/// Which token serves a request: one for each repository, kind of access, and repository that is mounted from.
pub(super) fn scope_key(method: &Method, path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let repository = ["/blobs/", "/manifests/", "/tags/", "/referrers/"]
        .iter()
        .find_map(|part| path.find(part))
        .map_or(path, |end| &path[..end]);
    let access = if matches!(*method, Method::GET | Method::HEAD) {
        "read"
    } else {
        "write"
    };
    let from = query.split('&').find_map(|pair| pair.strip_prefix("from=")).unwrap_or("");
    format!("{repository} {access} {from}")
}

/// The `Authorization` header of a name and a password.
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    secret(&format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

/// The `Authorization` header of a token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_challenge_becomes_a_request_for_a_token() {
        let header = r#"Bearer realm="http://127.0.0.1:5000/token",service="granary",scope="repository:a/b:pull,push repository:c:pull""#;
        let challenge = Challenge::parse(header).unwrap().unwrap();
        assert_eq!(challenge.realm, "http://127.0.0.1:5000/token");
        assert_eq!(
            challenge.token_path(),
            "/token?service=granary&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
    }

    #[test]
    fn spaces_order_case_and_parameters_we_do_not_know_do_not_matter() {
        let header = r#"bearer scope="registry:catalog:*", error="a, b" , realm=http://127.0.0.1/t"#;
        let challenge = Challenge::parse(header).unwrap().unwrap();
        assert_eq!(challenge.token_path(), "/t?scope=registry%3Acatalog%3A%2A");
        let bare = Challenge::parse(r#"Bearer realm="http://127.0.0.1/t""#).unwrap().unwrap();
        assert_eq!(bare.token_path(), "/t?");
    }

    #[test]
    fn other_schemes_are_not_ours_and_a_challenge_needs_a_realm() {
        assert_eq!(Challenge::parse("").unwrap(), None);
        assert_eq!(Challenge::parse(r#"Basic realm="x""#).unwrap(), None);
        assert!(Challenge::parse(r#"Bearer service="x""#).is_err());
        assert!(Challenge::parse(r#"Bearer realm="not a url""#).is_err());
    }

    #[test]
    fn tokens_are_shared_by_requests_of_one_kind_on_one_repository() {
        let key = |method, path| scope_key(&method, path);
        let read = key(Method::GET, "/v2/a/b/manifests/latest");
        assert_eq!(read, key(Method::HEAD, "/v2/a/b/blobs/sha256:00"));
        assert_eq!(read, key(Method::GET, "/v2/a/b/tags/list?n=10&last=x"));
        assert_eq!(read, key(Method::GET, "/v2/a/b/referrers/sha256:00"));
        assert_ne!(read, key(Method::GET, "/v2/a/c/manifests/latest"));

        let write = key(Method::POST, "/v2/a/b/blobs/uploads/");
        assert_ne!(read, write);
        assert_eq!(write, key(Method::PATCH, "/v2/a/b/blobs/uploads/1?_state=x"));
        assert_eq!(write, key(Method::PUT, "/v2/a/b/manifests/latest"));
        assert_ne!(write, key(Method::POST, "/v2/a/b/blobs/uploads/?mount=sha256%3A00&from=c"));
        assert_ne!(
            key(Method::POST, "/v2/a/b/blobs/uploads/?mount=sha256%3A00&from=c"),
            key(Method::POST, "/v2/a/b/blobs/uploads/?mount=sha256%3A00&from=d")
        );

        assert_eq!(key(Method::GET, "/v2/_catalog?n=1"), key(Method::GET, "/v2/_catalog?n=2"));
        assert_ne!(key(Method::GET, "/v2/_catalog"), key(Method::GET, "/v2/"));
    }

    #[test]
    fn credentials_are_written_as_the_rfcs_say_and_never_shown() {
        assert_eq!(basic("admin", "secret").unwrap(), "Basic YWRtaW46c2VjcmV0");
        assert_eq!(basic("a", "").unwrap(), "Basic YTo=");
        assert_eq!(bearer("t").unwrap(), "Bearer t");
        assert_eq!(format!("{:?}", bearer("t").unwrap()), "Sensitive");
        assert!(bearer("a\nb").is_err());
    }
}
