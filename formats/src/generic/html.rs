//! A folder as a page for browsers, and for clients that follow links (`wget -r`): a table of names, sizes and dates
//! without script.

use super::archive::is_archive;
use super::files::ASK_AGAIN;
use super::listing::{Entry, rfc3339};
use super::path::address;
use crate::handler::{Reply, ReplyBody};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_storage::Digest;
use granary_storage::name::RepositoryName;
use granary_storage::sums::Sum;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use std::sync::LazyLock;

/// Light or dark as the reader has it. A narrow window shows each name on a line of its own.
const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--quiet:#666}\
@media(prefers-color-scheme:dark){:root{--quiet:#aaa}}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1rem}\
h1{font-size:1.25rem;overflow-wrap:anywhere}\
p,h1{margin:0 0 1rem}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}\
td:first-child{overflow-wrap:anywhere;width:100%}\
.s,.t{white-space:nowrap;font-variant-numeric:tabular-nums;color:var(--quiet)}\
.s{text-align:right}\
.q{color:var(--quiet)}\
button{font:inherit;font-size:.875rem;padding:0 .5rem}\
@media(max-width:36rem){tr{display:block;padding:.25rem 0;border-bottom:1px solid var(--line)}\
th{display:none}td{display:inline-block;padding:.125rem .5rem .125rem 0;border:0}\
td:first-child{display:block;width:auto}td:empty{display:none}}";

/// The page loads nothing, runs nothing and stands in no frame; its one style is named by its digest, and its buttons ask
/// this server.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sum::from(Digest::sha256(STYLE.as_bytes())).as_bytes());
    format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
});

/// What a page shows of a folder.
pub(super) struct Folder<'f> {
    /// The repository.
    pub(super) repository: &'f RepositoryName,
    /// The folder, ending in a slash; empty for the whole repository.
    pub(super) path: &'f str,
    /// What it holds directly.
    pub(super) entries: &'f [Entry],
    /// Of a folder in an archive: how many entries of that are shown nowhere.
    pub(super) left_out: Option<u64>,
    /// The address of the next page, where there is one.
    pub(super) next: Option<&'f str>,
    /// The query that links to other folders carry, so that who asked for pages by it goes on getting pages.
    pub(super) query: &'f str,
}

impl Folder<'_> {
    /// The answer.
    pub(super) fn reply(&self) -> Reply {
        Reply::new(StatusCode::OK)
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .header(CONTENT_SECURITY_POLICY, POLICY.as_str())
            .header(CACHE_CONTROL, ASK_AGAIN)
            .with(ReplyBody::Bytes(self.page().into()))
    }

    fn page(&self) -> String {
        let title = escaped(&format!("/generic/{}/{}", self.repository, self.path));
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>Index of {title}</title><style>{STYLE}</style></head>\n\
             <body>\n<h1>Index of {title}</h1>\n{}\
             <form method=\"get\">\n<table>\n<tr><th>Name</th><th class=\"s\">Size</th><th class=\"t\">Updated (UTC)</th></tr>\n",
            self.heading()
        );
        if let Some(path) = self.path.strip_suffix('/') {
            let parent = path.rsplit_once('/').map_or_else(String::new, |(parent, _)| format!("{parent}/"));
            page.push_str(&format!(
                "<tr><td>{}</td><td class=\"s\"></td><td class=\"t\"></td></tr>\n",
                self.link(&parent, "../")
            ));
        }
        for entry in self.entries {
            page.push_str(&self.row(entry));
        }
        page.push_str("</table>\n</form>\n");
        if self.entries.is_empty() {
            page.push_str("<p class=\"q\">Nothing is stored here.</p>\n");
        }
        if let Some(left_out @ 1..) = self.left_out {
            page.push_str(&format!(
                "<p class=\"q\">Entries of the archive that are not shown, being links, or of names that are no paths: {left_out}</p>\n"
            ));
        }
        if let Some(next) = self.next {
            page.push_str(&format!("<p><a rel=\"next\" href=\"{}\">Next page</a></p>\n", escaped(next)));
        }
        page.push_str("</body>\n</html>\n");
        page
    }

    /// How to get all of it. Buttons rather than links: a client that follows links (`wget -r`) gets each file once.
    fn heading(&self) -> String {
        if self.left_out.is_some() {
            let archive = self.path.split("!/").next().unwrap_or_default();
            return format!("<p>Inside the archive {}</p>\n", self.link(archive, archive));
        }
        if self.entries.is_empty() {
            return String::new();
        }
        "<form method=\"get\"><p>Everything in one file: \
         <button name=\"archive\" value=\"zip\">zip</button> \
         <button name=\"archive\" value=\"tar.gz\">tar.gz</button></p></form>\n"
            .to_owned()
    }

    fn row(&self, entry: &Entry) -> String {
        let path = format!("{}{}", self.path, entry.marker);
        let mut name = match entry.unreadable {
            Some(why) => format!("{} <span class=\"q\">({why})</span>", escaped(&entry.marker)),
            None => self.link(&path, &entry.marker),
        };
        if self.left_out.is_none() && entry.unreadable.is_none() && is_archive(&entry.marker) {
            let into = escaped(&address(self.repository, &format!("{path}!/")));
            name.push_str(&format!(" <button formaction=\"{into}\">look inside</button>"));
        }
        let size = entry.size.map_or_else(String::new, readable);
        let exactly = entry.size.map_or_else(String::new, |size| format!(" title=\"{size} bytes\""));
        let updated = entry.updated_at.map_or_else(String::new, |at| {
            let at = rfc3339(at);
            let shown = at.replace('T', " ");
            format!("<time datetime=\"{at}\">{}</time>", shown.get(..16).unwrap_or_default())
        });
        format!("<tr><td>{name}</td><td class=\"s\"{exactly}>{size}</td><td class=\"t\">{updated}</td></tr>\n")
    }

    fn link(&self, path: &str, shown: &str) -> String {
        // Links begin at the root: a repository is also asked for without the slash that relative ones need.
        let query = if shown.ends_with('/') { self.query } else { "" };
        let link = escaped(&format!("{}{query}", address(self.repository, path)));
        format!("<a href=\"{link}\">{}</a>", escaped(shown))
    }
}

/// A number of bytes in the largest unit that leaves something before the point.
fn readable(size: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let (mut tenths, mut unit) = (u128::from(size) * 10, "B");
    while tenths >= 10240
        && let Some(larger) = units.next()
    {
        tenths /= 1024;
        unit = larger;
    }
    match unit {
        "B" => format!("{size} B"),
        unit => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

/// Text that is nothing but text in HTML, between tags and in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What turns the direction of writing round makes one extension look like another.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => escaped.push(char::REPLACEMENT_CHARACTER),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_that_reads_as_it_is_written() {
        assert_eq!(
            escaped("<a href='x' title=\"y\">&"),
            "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;"
        );
        assert_eq!(escaped("photo_\u{202E}gnp.exe"), "photo_\u{FFFD}gnp.exe");
        assert_eq!(escaped("תיעוד.txt"), "תיעוד.txt");
    }

    #[test]
    fn a_size_is_told_in_the_unit_that_people_read() {
        for (size, told) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (10 << 30, "10.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(readable(size), told);
        }
    }
}
