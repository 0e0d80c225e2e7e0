//! Provenance: Chart.yaml and the digest of the archive in a clear-signed message (RFC 9580 §7). Whether the signature
//! holds is the client's question, who has the keys; what it is about is ours.

use super::yaml::Node;
use super::{Metadata, fault, yaml};
use granary_storage::limits::Limits;
use granary_storage::{Digest, Error, Result};

const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// What a provenance is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Chart.yaml, as it was when it was signed.
    pub(crate) metadata: Metadata,
    /// Files and what stands as their digests.
    files: Vec<(String, String)>,
}

impl Signed {
    /// Reads a provenance. Blocks for as long as its limit lets it be.
    ///
    /// # Errors
    /// `Invalid`/`Request` with a sentence that names what is wrong with it.
    pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| fault("the provenance is not UTF-8"))?;
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let Some(begin) = lines.iter().position(|line| *line == BEGIN) else {
            return Err(fault("the provenance is no clear-signed message"));
        };
        // Behind the headers of the armour comes a blank line, and then what is signed.
        let headers = lines[begin..].iter().position(|line| line.is_empty());
        let end = lines[begin..].iter().position(|line| *line == SIGNATURE);
        let (Some(headers), Some(end)) = (headers, end) else {
            return Err(fault("the provenance is a clear-signed message without a signature"));
        };
        if headers > end {
            return Err(fault("the provenance signs nothing"));
        }
        // A line that begins with a dash is signed without the "- " that stands before it (§7.2).
        let signed = lines[begin + headers + 1..begin + end].iter();
        let signed: Vec<&str> = signed.map(|line| line.strip_prefix("- ").unwrap_or(line)).collect();
        let Some(split) = signed.iter().position(|line| *line == "...") else {
            return Err(fault(
                "the provenance does not hold a Chart.yaml and the digests of files, with ... between them",
            ));
        };
        let within = |error: Error| fault(format!("in the provenance: {}", error.message()));
        let metadata = Metadata::read(signed[..split].join("\n").as_bytes(), limits).map_err(within)?;
        let sums =
            yaml::read(&signed[split + 1..].join("\n"), "the list of files", limits).map_err(|_| fault("the provenance names no files"))?;
        let mut files = Vec::new();
        if let Node::Map(fields) = &sums.node {
            for (_, value) in fields.iter().filter(|(key, _)| key == "files") {
                let Node::Map(named) = &value.node else { continue };
                files.extend(named.iter().filter_map(|(file, digest)| match &digest.node {
                    Node::Scalar { text, .. } => Some((file.clone(), text.clone())),
                    Node::List(_) | Node::Map(_) => None,
                }));
            }
        }
        Ok(Self { metadata, files })
    }

    /// Checks that it is about this chart: `helm --verify` looks for the digest under the file's name.
    ///
    /// # Errors
    /// `Invalid`/`Request` saying what it is about instead.
    pub(crate) fn check(&self, name: &str, version: &str, content: &Digest) -> Result<()> {
        if (self.metadata.name.as_str(), self.metadata.version.as_str()) != (name, version) {
            return Err(fault(format!(
                "the provenance is that of another chart: it signs {} {}, not {name} {version}",
                self.metadata.name, self.metadata.version
            )));
        }
        let own = format!("{name}-{version}.tgz");
        match self.files.iter().find(|(file, _)| *file == own) {
            None => Err(fault(format!("the provenance does not name the file {own}"))),
            Some((_, digest)) if *digest != content.to_string() => Err(fault(format!(
                "the provenance is that of another chart: it names {digest:.80} as the digest of {own}, which is {content}"
            ))),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// As `helm package --sign` writes it, with a list in Chart.yaml, whose dashes are escaped.
    const HELM: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\napiVersion: v2\nkeywords:\n- - a\nname: web\nversion: 1.2.3\n\n...\nfiles:\n  web-1.2.3.tgz: sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n";

    fn why(text: &str) -> String {
        Signed::read(text.as_bytes(), &Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_provenance_tells_which_chart_it_is_of() {
        for text in [HELM.to_owned(), HELM.replace('\n', "\r\n"), format!("{HELM}\n\n")] {
            let signed = Signed::read(text.as_bytes(), &Limits::default()).unwrap();
            signed.check("web", "1.2.3", &Digest::sha256(b"{}")).unwrap();
            for (name, version, content) in [("api", "1.2.3", &b"{}"[..]), ("web", "1.2.4", b"{}"), ("web", "1.2.3", b"x")] {
                let error = signed.check(name, version, &Digest::sha256(content)).unwrap_err().to_string();
                assert!(error.contains("of another chart"), "{error}");
            }
        }
    }

    #[test]
    fn every_fault_of_a_provenance_has_a_sentence() {
        assert!(why("").contains("no clear-signed message"));
        assert!(why(BEGIN).contains("without a signature"));
        assert!(why(&HELM.replace(SIGNATURE, "")).contains("without a signature"));
        assert!(why(&format!("{BEGIN}\n{SIGNATURE}\n\n")).contains("signs nothing"));
        assert!(why(&HELM.replace("...", "---")).contains("with ... between them"));
        assert!(why(&HELM.replace("name: web", "")).contains("in the provenance: Chart.yaml has no name"));
        let other = HELM.replace("web-1.2.3.tgz", "x.tgz");
        let signed = Signed::read(other.as_bytes(), &Limits::default()).unwrap();
        let error = signed.check("web", "1.2.3", &Digest::sha256(b"{}")).unwrap_err().to_string();
        assert!(error.contains("does not name the file web-1.2.3.tgz"), "{error}");
        for cut in 0..HELM.len() {
            let _ = Signed::read(&HELM.as_bytes()[..cut], &Limits::default());
        }
    }
}
