//! A folder as a page for browsers, and for clients that follow links (`wget -r`): a table of names, sizes and dates
//! without script or style.

use super::files::ASK_AGAIN;
use super::listing::rfc3339;
use super::path::address;
use crate::handler::{Reply, ReplyBody};
use granary_storage::catalog::FolderEntry;
use granary_storage::name::RepositoryName;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// The page loads nothing, sends nothing and stands in no frame.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a page shows of a folder.
pub(super) struct Folder<'f> {
    /// The repository.
    pub(super) repository: &'f RepositoryName,
    /// The folder, ending in a slash; empty for the whole repository.
    pub(super) path: &'f str,
    /// What it holds directly.
    pub(super) entries: &'f [FolderEntry],
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
            .header(CONTENT_SECURITY_POLICY, POLICY)
            .header(CACHE_CONTROL, ASK_AGAIN)
            .with(ReplyBody::Bytes(self.page().into()))
    }

    fn page(&self) -> String {
        let title = escaped(&format!("/generic/{}/{}", self.repository, self.path));
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Index of {title}</title></head>\n\
             <body>\n<h1>Index of {title}</h1>\n<table>\n<tr><th>Name</th><th>Size</th><th>Updated</th></tr>\n"
        );
        if let Some(path) = self.path.strip_suffix('/') {
            let parent = path.rsplit_once('/').map_or_else(String::new, |(parent, _)| format!("{parent}/"));
            page.push_str(&self.row(&parent, "../", "-", ""));
        }
        for entry in self.entries {
            let marker = entry.marker();
            let path = format!("{}{marker}", self.path);
            page.push_str(&match entry {
                FolderEntry::Folder(_) => self.row(&path, &marker, "-", ""),
                FolderEntry::File { size, updated_at, .. } => self.row(&path, &marker, &size.to_string(), &rfc3339(*updated_at)),
            });
        }
        page.push_str("</table>\n");
        if let Some(next) = self.next {
            page.push_str(&format!("<p><a rel=\"next\" href=\"{}\">Next page</a></p>\n", escaped(next)));
        }
        page.push_str("</body>\n</html>\n");
        page
    }

    fn row(&self, path: &str, shown: &str, size: &str, updated: &str) -> String {
        // Links begin at the root: a repository is also asked for without the slash that relative ones need.
        let query = if shown.ends_with('/') { self.query } else { "" };
        let link = escaped(&format!("{}{query}", address(self.repository, path)));
        format!(
            "<tr><td><a href=\"{link}\">{}</a></td><td>{size}</td><td>{updated}</td></tr>\n",
            escaped(shown)
        )
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
            letter => escaped.push(letter),
        }
    }
    escaped
}
