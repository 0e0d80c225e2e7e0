//! Reading a chart repository: its index, its files, and what ChartMuseum's API tells of it.

use super::Helm;
use super::chart::Version;
use super::index::{Index, Place, entry, list};
use super::mend;
use super::op::{Act, Op, Page};
use super::parse::tag_of;
use super::rfc3339;
use super::upload::mutable_versions;
use crate::dispatch::{Granted, WARNING, warning, yanked};
use crate::handler::{Reply, ReplyBody};
use crate::json_error::{self, json_reply};
use crate::oci::FOREVER;
use crate::range::Wanted;
use bytes::Bytes;
use futures_util::stream;
use granary_storage::catalog::{Chart, Deleted};
use granary_storage::prefix::Prefix;
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY};
use serde_json::json;

/// Bytes of an index up to which it goes out as a whole.
const WHOLE: usize = 256 * 1024;
/// Bytes of a larger one that go out at a time. The fewer, the longer it takes: by `benches/load/index` 45 MB take 1.0 times
/// as long as a static file takes, and 1.4 times in pieces of 256 KiB.
const PIECE: usize = 2 * 1024 * 1024;

/// `Cache-Control` of what may be another thing the next time.
const ASK_AGAIN: &str = "private, no-cache";

/// The version that stands for the highest one, as ChartMuseum has it.
pub(super) const LATEST: &str = "latest";

pub(super) fn unknown(what: &'static str) -> Error {
    Error::not_found(What::Manifest, what)
}

/// An index as far as the caller may see it.
struct Shown {
    entries: Bytes,
    etag: String,
    /// Whether these bytes are those in memory, and not a copy for this caller.
    shared: bool,
}

/// What of an index the caller may see: all of it, unless a token names some charts alone.
fn shown(index: &Index, granted: &Granted<Op>, host: Option<&str>) -> Shown {
    let mut etag = format!("{}-{}", index.generation, index.at);
    // The entries name it, and it may be another one after the next start.
    if let Some(host) = host {
        etag = format!("{etag}-{}", &Digest::sha256(host.as_bytes()).hex()[..8]);
    }
    let Some(names) = names(granted) else {
        return Shown {
            entries: index.entries.clone(),
            etag,
            shared: true,
        };
    };
    let whose = Digest::sha256(names.join("/").as_bytes()).hex();
    Shown {
        entries: index.only(|name| names.binary_search(&name).is_ok(), Page::default()),
        etag: format!("{etag}-{}", &whose[..16]),
        shared: false,
    }
}

/// The charts under the prefix that the caller may see, in order; `None` for all of them.
fn names(granted: &Granted<Op>) -> Option<Vec<&str>> {
    let only = granted.visible().only.as_ref()?;
    let here = only.iter().map(Prefix::of).filter(|(prefix, _)| *prefix == granted.op().prefix);
    let mut names: Vec<&str> = here.map(|(_, name)| name).collect();
    names.sort_unstable();
    Some(names)
}

/// `GET` and `HEAD index.yaml`.
pub(super) async fn index(helm: &Helm, stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Index {
        media_type,
        coding,
        head,
        conditions,
    } = &granted.op().act
    else {
        return Err(unknown("not an index"));
    };
    let op = granted.op();
    let index = helm.indexes().current(stores, &op.prefix).await?;
    let Shown { entries, mut etag, shared } = shown(&index, granted, stores.host.as_deref());
    // What is made for this caller alone would be compressed for them alone.
    let coding = coding.filter(|_| shared);
    if let Some(coding) = coding {
        etag = format!("{etag}-{}", coding.word());
    }
    let reply = |status| {
        let reply = Reply::new(status);
        let reply = match coding {
            Some(coding) => reply.header(CONTENT_ENCODING, coding.word()),
            None => reply,
        };
        reply
            .header(ETAG, format!("\"{etag}\""))
            .header(CACHE_CONTROL, "private, no-cache")
            .header(VARY, "Authorization, Accept-Encoding")
    };
    if conditions.not_modified(&etag, None)? {
        return Ok(reply(StatusCode::NOT_MODIFIED));
    }
    let begin = format!(
        "{{\"apiVersion\":\"v1\",\"generated\":\"{}\",\"serverInfo\":{{\"contextPath\":\"{}\"}},\"entries\":{{",
        rfc3339(index.at),
        op.base
    );
    let reply = reply(StatusCode::OK).header(CONTENT_TYPE, *media_type);
    if let Some(coding) = coding {
        let bytes = helm.indexes().coded(stores, &index, begin.into(), coding).await?;
        return Ok(reply.with(enclosed(Bytes::new(), bytes, "", true, *head)));
    }
    Ok(reply.with(enclosed(begin.into(), entries, "}}", shared, *head)))
}

/// Text around entries: as they are when they are many and in memory anyway, else as a whole.
fn enclosed(begin: Bytes, entries: Bytes, end: &'static str, shared: bool, head: bool) -> ReplyBody {
    let len = begin.len() + entries.len() + end.len();
    if head {
        return ReplyBody::Omitted { len: len as u64 };
    }
    if len <= WHOLE || !shared {
        return ReplyBody::Bytes([&begin[..], &entries, end.as_bytes()].concat().into());
    }
    let pieces = (0..entries.len().div_ceil(PIECE)).map(move |number| {
        let start = number * PIECE;
        entries.slice(start..(start + PIECE).min(entries.len()))
    });
    let all = std::iter::once(begin).chain(pieces).chain([Bytes::from_static(end.as_bytes())]);
    ReplyBody::Stream {
        len: len as u64,
        piece: PIECE.min(len) as u64,
        stream: Box::pin(stream::iter(all.map(Ok))),
    }
}

/// `GET api/charts`.
pub(super) async fn charts(helm: &Helm, stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Charts { head, page } = granted.op().act else {
        return Err(unknown("not a list"));
    };
    let index = helm.indexes().current(stores, &granted.op().prefix).await?;
    let (entries, shared) = match names(granted) {
        None if page == Page::default() => (index.entries.clone(), true),
        names => {
            let seen = |name: &str| names.as_ref().is_none_or(|names| names.binary_search(&name).is_ok());
            (index.only(seen, page), false)
        }
    };
    let reply = personal(Reply::new(StatusCode::OK).header(CONTENT_TYPE, "application/json"));
    Ok(reply.with(enclosed(Bytes::from_static(b"{"), entries, "}", shared, head)))
}

/// Where the charts of the operation's prefix are.
fn place(stores: &Stores, granted: &Granted<Op>) -> Place {
    Place {
        host: stores.host.clone(),
        prefix: granted.op().prefix.clone(),
    }
}

/// An answer that is another one for who may see less, or a moment later.
pub(super) fn personal(reply: Reply) -> Reply {
    reply.header(CACHE_CONTROL, "private, no-cache").header(VARY, "Authorization")
}

/// The charts of the repository that the operation names.
pub(super) async fn listed(stores: &Stores, granted: &Granted<Op>) -> Result<Vec<Chart>> {
    let charts = match granted.repository() {
        Some(repository) => stores.catalog.charts_of(repository.id).await?,
        None => Vec::new(),
    };
    if charts.is_empty() {
        return Err(unknown("there is no such chart here"));
    }
    Ok(charts)
}

/// `GET api/charts/<name>`.
pub(super) async fn versions(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let charts = listed(stores, granted).await?;
    Ok(personal(json_reply(StatusCode::OK, list(charts, &place(stores, granted)))))
}

/// The chart of a version, as written; of a yanked one, too, which is in no list.
pub(super) async fn of_version(stores: &Stores, granted: &Granted<Op>, version: &str) -> Result<Chart> {
    let absent = || unknown("there is no such version of this chart");
    let repository = granted.repository().ok_or_else(absent)?.id;
    let tag = tag_of(version).map_err(|_| absent())?;
    let found = stores.catalog.chart_version(repository, tag).await?;
    let found = found.filter(|found| found.live && found.chart.version == version);
    found.map(|found| found.chart).ok_or_else(absent)
}

/// How long the bytes of a version may be kept by who fetched them: for ever, unless the project lets them be replaced.
pub(super) async fn caching(stores: &Stores, granted: &Granted<Op>) -> Result<&'static str> {
    let mutable = mutable_versions(stores, &granted.existing_repository()?.name).await?;
    Ok(if mutable { ASK_AGAIN } else { FOREVER })
}

/// The chart of a version, as written, or of the latest one.
pub(super) async fn at_version(stores: &Stores, granted: &Granted<Op>, version: &str) -> Result<Chart> {
    match version {
        LATEST => latest(listed(stores, granted).await?),
        version => of_version(stores, granted, version).await,
    }
}

/// `GET api/charts/<name>/<version>`.
pub(super) async fn version(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Version { version, .. } = &granted.op().act else {
        return Err(unknown("not a version"));
    };
    let chart = at_version(stores, granted, version).await?;
    let reply = personal(json_reply(StatusCode::OK, entry(&chart, &place(stores, granted))));
    Ok(of(&chart, reply))
}

/// An answer about a version, with what who asks for it should hear.
pub(super) fn of(chart: &Chart, reply: Reply) -> Reply {
    match &chart.yanked {
        Some(reason) => reply.header(WARNING, warning(&yanked(reason))),
        None => reply,
    }
}

/// The highest version; a pre-release only where there is nothing else.
pub(super) fn latest(charts: Vec<Chart>) -> Result<Chart> {
    let rank = |chart: &Chart| {
        let version = Version::read(&chart.version);
        (version.as_ref().is_some_and(Version::is_release), version)
    };
    let highest = charts.into_iter().max_by_key(rank);
    highest.ok_or_else(|| unknown("there is no such chart here"))
}

/// `GET health`: whether the index can be read.
pub(super) async fn health(helm: &Helm, stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    helm.indexes().current(stores, &granted.op().prefix).await?;
    Ok(json_reply(StatusCode::OK, json!({"healthy": true}).to_string()))
}

/// `GET info`.
pub(super) fn info() -> Reply {
    json_reply(StatusCode::OK, json!({"version": env!("CARGO_PKG_VERSION")}).to_string())
}

/// `DELETE api/charts/<name>/<version>`: the manifest goes to the trash, and with it its tags and its provenance.
pub(super) async fn delete(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Delete { version, .. } = &granted.op().act else {
        return Err(unknown("not a version"));
    };
    let chart = of_version(stores, granted, version).await?;
    let repository = granted.existing_repository()?.id;
    match stores.catalog.delete_artifact(repository, chart.digest, granted.by()).await? {
        Deleted::Done => Ok(json_reply(StatusCode::OK, json!({"deleted": true}).to_string())),
        Deleted::Absent => Err(unknown("there is no such version of this chart")),
        Deleted::InUse(holders) => {
            let holder = holders.first().map(ToString::to_string).unwrap_or_default();
            let sentence = format!("the index {holder} lists this chart; delete the index first");
            Err(Error::new(ErrorKind::Conflict, What::Manifest, sentence))
        }
    }
}

/// `GET` and `HEAD charts/<file>.tgz`, and its provenance.
pub(super) async fn file(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::ReadFile {
        provenance,
        head,
        conditions,
        ..
    } = &granted.op().act
    else {
        return Err(unknown("not a file"));
    };
    let chart = granted.chart().ok_or_else(|| unknown("there is no such chart here"))?;
    granted.manifest()?;
    let repository = granted.existing_repository()?.id;
    let (found, media_type) = match (provenance, chart.provenance) {
        (false, _) => (mend::archive(stores, repository, chart).await?, "application/gzip"),
        (true, Some(digest)) => (mend::provenance(stores, repository, digest).await?, "application/pgp-signature"),
        (true, None) => return Err(unknown("the chart has no provenance")),
    };
    let (blob, digest) = (found.blob.clone(), found.blob.digest);
    // What may change under the name of a version that stays is whether it is signed; and who has a yanked one should hear
    // of it each time.
    let caching = match *provenance || chart.yanked.is_some() {
        true => ASK_AGAIN,
        false => caching(stores, granted).await?,
    };
    let reply = |status| {
        Reply::new(status)
            .header(ETAG, format!("\"{digest}\""))
            .header(CACHE_CONTROL, caching)
            .header(ACCEPT_RANGES, "bytes")
    };
    if conditions.not_modified(&digest.to_string(), None)? {
        return Ok(reply(StatusCode::NOT_MODIFIED));
    }
    let whole = reply(StatusCode::OK).header(CONTENT_TYPE, media_type);
    if *head {
        return Ok(whole.with(ReplyBody::Omitted { len: blob.size }));
    }
    let (range, reply) = match conditions.parts(&blob, None, stores.limits.ranges_per_request) {
        // Several parts of an archive are of use to nobody: it goes out as a whole (RFC 9110 §14.2).
        Wanted::Whole | Wanted::Many(_) => (0..blob.size, whole),
        Wanted::One(range) => {
            let said = format!("bytes {}-{}/{}", range.start, range.end - 1, blob.size);
            let part = reply(StatusCode::PARTIAL_CONTENT).header(CONTENT_TYPE, media_type);
            (range, part.header(CONTENT_RANGE, said))
        }
        Wanted::Unsatisfiable => {
            let refusal = Error::new(ErrorKind::BadRange, What::Range, format!("the file has {} bytes", blob.size));
            return Ok(json_error::body(&refusal).header(CONTENT_RANGE, format!("bytes */{}", blob.size)));
        }
    };
    let len = range.end - range.start;
    let stream = stores.read(&blob, range).await?;
    Ok(reply.with(ReplyBody::stream(len, stream)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use futures_util::TryStreamExt as _;

    #[tokio::test]
    async fn a_large_list_goes_out_in_pieces_that_are_told_before() {
        for length in [WHOLE, PIECE, 2 * PIECE + 1] {
            let entries = Bytes::from(vec![b'x'; length]);
            let ReplyBody::Stream { len, piece, stream } = enclosed("{".into(), entries.clone(), "}", true, false) else {
                panic!("{length} bytes go out as a whole")
            };
            let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
            assert!(pieces.iter().all(|bytes| bytes.len() as u64 <= piece), "{length}");
            assert_eq!(pieces.concat(), [b"{", &entries[..], b"}"].concat());
            assert_eq!(len, length as u64 + 2);
        }
        let small = enclosed("{".into(), Bytes::from_static(b"x"), "}", true, false);
        assert!(matches!(small, ReplyBody::Bytes(bytes) if bytes == "{x}"));
    }
}
