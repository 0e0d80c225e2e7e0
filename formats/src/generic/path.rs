//! Paths as they stand in an address: decoded segment by segment, and encoded again.

use granary_storage::name::{FilePath, RepositoryName};
use granary_storage::{Error, Result, What};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stands unencoded in an answer's address (RFC 3986 §2.3), and the slash between segments.
const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The address of a file or, ending in a slash, of a folder.
pub(super) fn address(repository: &RepositoryName, rest: &str) -> String {
    format!("/generic/{repository}/{}", utf8_percent_encode(rest, &PATH))
}

/// The address of a file.
pub(super) fn file_address(repository: &RepositoryName, path: &FilePath) -> String {
    address(repository, path.as_str())
}

/// Percent-decoding of one segment: what it decodes to stays one.
pub(super) fn decode(segment: &str) -> Result<String> {
    let bad = |why| Error::invalid(What::Name, why);
    // RFC 3986 allows it in a segment, and other registries set properties with it: it must not become part of a name
    // today and something else tomorrow.
    if segment.contains(';') {
        return Err(bad(
            "write a semicolon in a file's name as %3B; parameters in a path are labels, and only PUT of a file takes them",
        ));
    }
    let decoded = unescape(segment)?;
    if decoded.contains('/') {
        return Err(bad("a name in a file's path holds no slash, encoded or not"));
    }
    Ok(decoded)
}

/// Percent-decoding of some part of a path.
pub(super) fn unescape(text: &str) -> Result<String> {
    let bad = |why| Error::invalid(What::Name, why);
    let well_formed = text.match_indices('%').all(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !well_formed {
        return Err(bad("write a percent sign in a file's name as %25"));
    }
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| bad("a path, with its parameters, is UTF-8"))?;
    Ok(decoded.into_owned())
}
