//! References to images, as a chart writes them and Docker and containerd read them (github.com/distribution/reference).

use granary_storage::Digest;
use granary_storage::name::{DEFAULT_PROJECT, RepositoryName, Tag};

/// The registry of a reference that names none.
const DOCKER: &str = "docker.io";
/// Another name of it, which old references have.
const DOCKER_OF_OLD: &str = "index.docker.io";
/// Bytes in the name of a host with its port, at most (RFC 1035 §2.3.4, and five digits).
const HOST_MAX: usize = 261;

/// The parts of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImageReference {
    /// The host of the registry, in lower case.
    pub(super) registry: String,
    /// The repository there.
    pub(super) path: String,
    /// The tag, where there is one.
    pub(super) tag: Option<String>,
    /// The digest, where there is one.
    pub(super) digest: Option<Digest>,
}

impl ImageReference {
    /// Reads a reference; `None` for what is none, such as a template that was left in.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().ok()?)),
            None => (text, None),
        };
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last..].find(':') {
            Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
            None => (rest, None),
        };
        let tag = tag.map(str::parse::<Tag>).transpose().ok()?;
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host.to_ascii_lowercase(), path),
            _ => (DOCKER.to_owned(), name),
        };
        path.parse::<RepositoryName>().ok()?;
        let docker = registry == DOCKER || registry == DOCKER_OF_OLD;
        let path = if docker && !path.contains('/') {
            format!("{DEFAULT_PROJECT}/{path}")
        } else {
            path.to_owned()
        };
        Some(Self {
            registry: if docker { DOCKER.to_owned() } else { registry },
            path,
            tag: tag.map(|tag| tag.as_str().to_owned()),
            digest,
        })
    }
}

/// Whether the first part of a name is a registry and not the beginning of a repository's name.
fn is_host(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    text.len() <= HOST_MAX && text.bytes().all(known) && (text.contains(['.', ':']) || text.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    const SUM: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn a_reference_is_read_as_docker_reads_it() {
        let sum = format!("@{SUM}");
        for (text, registry, path, tag) in [
            ("nginx", "docker.io", "library/nginx", None),
            ("nginx:1.27", "docker.io", "library/nginx", Some("1.27")),
            ("bitnami/redis:7", "docker.io", "bitnami/redis", Some("7")),
            ("index.docker.io/nginx:1", "docker.io", "library/nginx", Some("1")),
            ("Registry.Example.com/acme/api:1.4", "registry.example.com", "acme/api", Some("1.4")),
            ("registry.k8s.io/pause:3.9", "registry.k8s.io", "pause", Some("3.9")),
            ("localhost/acme/api", "localhost", "acme/api", None),
            ("127.0.0.1:5000/acme/api:v1", "127.0.0.1:5000", "acme/api", Some("v1")),
            ("[::1]:5000/acme/api", "[::1]:5000", "acme/api", None),
        ] {
            for (text, digest) in [(text.to_owned(), None), (format!("{text}{sum}"), Some(SUM))] {
                let read = ImageReference::read(&text).unwrap();
                assert_eq!((read.registry.as_str(), read.path.as_str()), (registry, path), "{text}");
                assert_eq!(read.tag.as_deref(), tag, "{text}");
                assert_eq!(read.digest.map(|digest| digest.to_string()).as_deref(), digest, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_reference_has_no_parts() {
        for bad in [
            "",
            "{{ .Values.image }}",
            "Nginx",
            "acme/api:",
            "acme/api:-1",
            "acme/api@sha256:abc",
            "acme/api@",
            "/api",
            "acme/",
            "https://registry.example.com/acme/api",
            "registry.example.com/",
            "acme/api:1 2",
            &format!("acme/{}", "a".repeat(300)),
        ] {
            assert_eq!(ImageReference::read(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_read_or_not_and_what_is_read_reads_the_same(text in "[a-zA-Z0-9./:@_ -]{0,40}") {
            if let Some(read) = ImageReference::read(&text) {
                let tag = read.tag.as_ref().map_or_else(String::new, |tag| format!(":{tag}"));
                let digest = read.digest.as_ref().map_or_else(String::new, |digest| format!("@{digest}"));
                let written = format!("{}/{}{tag}{digest}", read.registry, read.path);
                prop_assert_eq!(ImageReference::read(&written), Some(read));
            }
        }
    }
}
