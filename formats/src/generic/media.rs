//! Of what type a file is, and which types a browser would run.

/// A file of which nothing is known.
const OCTETS: &str = "application/octet-stream";

/// Bytes in a media type, at most (RFC 6838 §4.2 allows 127 on either side of the slash).
const MEDIA_TYPE_MAX: usize = 255;

/// What `curl --data` and browsers' forms say of everything, and what says nothing.
const SAYS_NOTHING: [&str; 2] = ["application/x-www-form-urlencoded", OCTETS];

/// The media type that a client named for a file; `None` when that says nothing. Never a reason to refuse the file.
pub(super) fn named(content_type: &str) -> Option<String> {
    let text = content_type.trim();
    let essence = essence(text);
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let is_type = essence.split_once('/').is_some_and(|(kind, of)| token(kind) && token(of));
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b',');
    (is_type && printable && text.len() <= MEDIA_TYPE_MAX && !SAYS_NOTHING.contains(&essence.as_str())).then(|| text.to_owned())
}

/// The media type that a file is sent as: the one that was named for it, else that of its extension.
pub(super) fn of(named: Option<&str>, file_name: &str) -> String {
    match named {
        Some(named) => named.to_owned(),
        None => mime_guess::from_path(file_name).first_raw().unwrap_or(OCTETS).to_owned(),
    }
}

/// Whether a browser might run what is in such a file, with the rights of this server's pages: whatever is not known to
/// be only looked at, heard or kept. What stands behind the first comma is another type to a browser (Fetch, "extract a
/// MIME type"), so nothing with a comma is known.
pub(super) fn is_active(media_type: &str) -> bool {
    let essence = essence(media_type);
    let Some((kind, subtype)) = essence.split_once('/') else {
        return true;
    };
    let passive = match kind {
        "image" | "audio" | "video" | "font" => !subtype.contains("svg") && !subtype.contains("xml"),
        "text" => ["plain", "csv", "markdown", "tab-separated-values"].contains(&subtype),
        "application" => {
            ["octet-stream", "json", "pdf", "toml", "yaml", "x-yaml", "x-tar"].contains(&subtype)
                || subtype.ends_with("+json")
                || subtype.ends_with("zip")
                || subtype.ends_with("compressed")
                || subtype.ends_with("package")
        }
        _ => false,
    };
    !passive || media_type.contains(',')
}

fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_a_client_names_counts_unless_it_says_nothing() {
        for (content_type, kept) in [
            ("text/plain", Some("text/plain")),
            ("Text/HTML; charset=utf-8", Some("Text/HTML; charset=utf-8")),
            (" application/gzip ", Some("application/gzip")),
            ("application/x-www-form-urlencoded", None),
            ("application/octet-stream", None),
            ("", None),
            ("text", None),
            ("/", None),
            ("text/", None),
            ("te xt/plain", None),
            ("text/plain\u{1}", None),
            ("text/plain;a=b, text/html", None),
        ] {
            assert_eq!(named(content_type).as_deref(), kept, "{content_type:?}");
        }
        assert_eq!(named(&format!("text/{}", "a".repeat(MEDIA_TYPE_MAX))), None);
    }

    #[test]
    fn without_one_the_extension_tells() {
        for (name, media_type) in [
            ("fw.bin", OCTETS),
            ("README", OCTETS),
            ("a.tar.gz", "application/gzip"),
            ("a.zip", "application/zip"),
            ("a.JSON", "application/json"),
            ("a.html", "text/html"),
            ("a.svg", "image/svg+xml"),
            (".html", OCTETS),
        ] {
            assert_eq!(of(None, name), media_type, "{name}");
        }
        assert_eq!(of(Some("text/csv"), "a.html"), "text/csv");
    }

    #[test]
    fn what_a_browser_would_run_is_known() {
        for active in [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            "application/xhtml+xml",
            "image/svg+xml",
            "text/javascript",
            "application/javascript",
            "application/x-javascript",
            "text/xml",
            "application/xml",
            "application/atom+xml",
            "text/ecmascript",
            "text/xsl",
            "text/xml-external-parsed-entity",
            "multipart/x-mixed-replace; boundary=x",
            "message/rfc822",
            "text/plain;a=b, text/html",
            "text/plain,text/html",
            "",
        ] {
            assert!(is_active(active), "{active}");
        }
        for passive in [
            "text/plain",
            "image/png",
            OCTETS,
            "application/json",
            "application/gzip",
            "application/pdf",
            "application/vnd.debian.binary-package",
            "application/x-gzip",
            "application/spdx+json",
            "text/csv; charset=utf-8",
        ] {
            assert!(!is_active(passive), "{passive}");
        }
    }
}
