//! Byte ranges of a blob (RFC 9110 §14): single, suffix, open and several at once.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use granary_storage::Stores;
use granary_storage::blob::{Blob, ByteStream};
use std::ops::Range;

/// What a `Range` header asks of content of a known size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: no range, or one to be ignored.
    Whole,
    /// One part.
    One(Range<u64>),
    /// Several parts, in the order asked.
    Many(Vec<Range<u64>>),
    /// Nothing that the content has.
    Unsatisfiable,
}

/// Reads a `Range` header. One that is malformed, of another unit, or of more than `most` parts is ignored.
pub(crate) fn wanted(header: &str, size: u64, most: usize) -> Wanted {
    let Some(list) = header.trim().strip_prefix("bytes=") else {
        return Wanted::Whole;
    };
    let mut parts = Vec::new();
    for (index, text) in list.split(',').map(str::trim).enumerate() {
        if index == most {
            return Wanted::Whole;
        }
        match part(text, size) {
            Some(Some(range)) => parts.push(range),
            // Outside the content: it falls away, as long as another part is left.
            Some(None) => {}
            None => return Wanted::Whole,
        }
    }
    // Parts that overlap could make a download of many times the content (RFC 9110 §14.2, §17.15).
    let total: u128 = parts.iter().map(|part| u128::from(part.end - part.start)).sum();
    if total > u128::from(size) {
        return Wanted::Whole;
    }
    match parts.len() {
        0 => Wanted::Unsatisfiable,
        1 => Wanted::One(parts.swap_remove(0)),
        _ => Wanted::Many(parts),
    }
}

/// One range: `None` when malformed, `Some(None)` when it lies outside.
fn part(text: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.split_once('-')?;
    if first.is_empty() {
        let count = number(last)?;
        let start = size.saturating_sub(count);
        return Some((count > 0 && size > 0).then_some(start..size));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    // Backwards: nothing of the content can satisfy it.
    Some((first <= last && first < size).then(|| first..last.saturating_add(1).min(size)))
}

fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a number holds is simply past the end.
    Some(text.parse().unwrap_or(u64::MAX))
}

/// `Content-Range` of a part.
pub(crate) fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

/// What stands between the parts of a blob: nothing that its bytes are known to hold.
pub(crate) fn boundary(blob: &Blob) -> String {
    format!("granary-{}", &blob.digest.hex()[..32])
}

/// Several parts as one body (RFC 9110 §14.6), and its length. Each part is opened when its turn comes.
pub(crate) fn multipart(stores: &Stores, blob: &Blob, ranges: Vec<Range<u64>>, content_type: &str) -> (u64, ByteStream) {
    let (size, boundary) = (blob.size, boundary(blob));
    let heading = |range: &Range<u64>| {
        let content_range = content_range(range, size);
        Bytes::from(format!(
            "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {content_range}\r\n\r\n"
        ))
    };
    let parts: Vec<(Bytes, Range<u64>)> = ranges.into_iter().map(|range| (heading(&range), range)).collect();
    let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let len = parts
        .iter()
        .map(|(heading, range)| heading.len() as u64 + range.end - range.start)
        .sum::<u64>()
        + end.len() as u64;
    let (stores, blob) = (stores.clone(), blob.clone());
    let body = stream::iter(parts).flat_map(move |(heading, range)| {
        let (stores, blob) = (stores.clone(), blob.clone());
        let content = stream::once(async move { stores.read(&blob, range).await }).flat_map(|opened| match opened {
            Ok(content) => content,
            Err(error) => Box::pin(stream::iter([Err(error)])),
        });
        stream::iter([Ok(heading)]).chain(content)
    });
    (len, Box::pin(body.chain(stream::iter([Ok(end)]))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_range_means_what_the_rfc_says() {
        for (header, meaning) in [
            ("bytes=0-3", Wanted::One(0..4)),
            ("bytes=2-", Wanted::One(2..10)),
            ("bytes=-3", Wanted::One(7..10)),
            ("bytes=-30", Wanted::One(0..10)),
            ("bytes=5-500", Wanted::One(5..10)),
            ("bytes=9-9", Wanted::One(9..10)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=5-0", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=0-1, 4-5", Wanted::Many(vec![0..2, 4..6])),
            ("bytes=0-1,50-60", Wanted::One(0..2)),
            ("bytes=99999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes=0-0,1-1,2-2,3-3", Wanted::Whole),
        ] {
            assert_eq!(wanted(header, 10, 3), meaning, "{header}");
        }
    }

    #[test]
    fn parts_that_overlap_are_too_much_of_any_size() {
        assert_eq!(wanted("bytes=0-,0-", u64::MAX, 3), Wanted::Whole);
        assert_eq!(wanted("bytes=0-5,5-9", 10, 3), Wanted::Whole);
    }

    #[test]
    fn an_empty_blob_has_no_ranges() {
        for header in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(wanted(header, 0, 3), Wanted::Unsatisfiable);
        }
    }

    proptest! {
        #[test]
        fn a_range_never_leaves_the_content(header in "bytes=[0-9,-]{0,30}|.{0,30}", size in 0u64..100) {
            let parts = match wanted(&header, size, 32) {
                Wanted::One(range) => vec![range],
                Wanted::Many(ranges) => ranges,
                Wanted::Whole | Wanted::Unsatisfiable => vec![],
            };
            for range in parts {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
