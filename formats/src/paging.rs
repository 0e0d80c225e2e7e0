//! Listings in pages (`?n=&last=`, and `Link` to the next one).

use crate::handler::{Head, Reply};
use granary_storage::limits::Limits;
use granary_storage::{Error, Result, What};
use http::header::LINK;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries wanted, already cut to the limit; 0 asks for an empty page.
    pub limit: usize,
    /// The entry after which the page begins; it need not exist.
    pub after: Option<String>,
}

/// The page that a request asks for.
///
/// # Errors
/// `Invalid`/`Page` when `n` is no number.
pub(crate) fn page(head: &Head<'_>, limits: &Limits) -> Result<Page> {
    let limit = match head.query_value("n") {
        None => limits.page_default.min(limits.page_max),
        Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // More digits than a number holds is simply more than the limit.
            text.parse::<usize>().unwrap_or(usize::MAX).min(limits.page_max)
        }
        Some(_) => return Err(Error::invalid(What::Page, "n is a number of entries, 0 or more")),
    };
    // No name holds a NUL, and nothing sorts between a name and itself with one behind it: what follows is moot.
    let before_nul = |text: String| text.split('\0').next().map(str::to_owned);
    Ok(Page {
        limit,
        after: head.query_value("last").filter(|text| !text.is_empty()).and_then(before_nul),
    })
}

/// Cuts one entry more than a page down to the page, and says after which entry the next one begins.
pub(crate) fn cut<T>(entries: &mut Vec<T>, page: &Page, marker: impl Fn(&T) -> String) -> Option<String> {
    let more = entries.len() > page.limit;
    entries.truncate(page.limit);
    entries.last().filter(|_| more).map(marker)
}

/// `Link` to the next page (RFC 8288).
pub(crate) fn next_page(reply: Reply, path: &str, page: &Page, last: &str, filter: &str) -> Reply {
    let last = utf8_percent_encode(last, NON_ALPHANUMERIC);
    reply.header(LINK, format!("<{path}?n={}&last={last}{filter}>; rel=\"next\"", page.limit))
}
