//! Downloads of one big blob: whole, and in ranges as lazy clients pull it.

use super::{Outcome, Timed};
use crate::content::{Blob, mix};
use crate::drive::{Worker, prepare};
use crate::http::{Call, Verify, read_blob, require};
use crate::options::Load;
use crate::registry::{Upload, Way};
use anyhow::Result;
use hyper::header;
use serde_json::json;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of a range.
const RANGE: u64 = 1 << 20;

/// The blob, pushed, and its path.
fn big_blob(load: &Load) -> Result<(Arc<Blob>, String)> {
    let options = &load.options;
    let blob = Arc::new(Blob::new(mix(options.seed ^ 0xb16), options.big_size));
    let repository = format!("{}/big", options.prefix);
    let path = format!("/v2/{repository}/blobs/{}", blob.digest);
    let pushed = blob.clone();
    prepare(load, 1, async move |worker: &mut Worker, _| {
        if !worker.has_blob(&repository, &pushed.digest).await? {
            worker.upload(Upload::blob(&repository, &pushed), Way::Whole).await?;
        }
        Ok(())
    })?;
    Ok((blob, path))
}

/// The whole blob.
pub(super) fn whole(load: &Load) -> Result<Outcome> {
    let (blob, path) = big_blob(load)?;
    Timed::new(&load.options)
        .with(json!({"size": blob.size}))
        .run(load, async move |worker: &mut Worker, _| {
            let start = Instant::now();
            worker.get_blob(&path, &blob).await?;
            worker.record.latency("op", start.elapsed());
            Ok(())
        })
}

/// Ranges of it.
pub(super) fn ranges(load: &Load) -> Result<Outcome> {
    let (blob, path) = big_blob(load)?;
    Timed::new(&load.options)
        .with(json!({"size": blob.size, "range": RANGE}))
        .run(load, async move |worker: &mut Worker, number| {
            let range = random_range(number, blob.size);
            let wanted = format!("bytes={}-{}", range.start, range.end - 1);
            let start = Instant::now();
            let headers = [(header::RANGE, wanted.as_str())];
            let response = worker.connection.send(Call::get(&path).headers(&headers)).await?;
            require(response.status(), &[206], "get range")?;
            worker.record.latency("first-byte", start.elapsed());
            // The digest is of the whole blob: of a part the bytes are compared.
            let verify = if worker.verify == Verify::None {
                Verify::None
            } else {
                Verify::Bytes
            };
            worker.record.received += read_blob(response, &blob, range, verify).await?;
            worker.record.latency("op", start.elapsed());
            Ok(())
        })
}

/// A range somewhere in a blob that has at least one byte.
fn random_range(number: u64, size: u64) -> Range<u64> {
    let length = RANGE.min(size);
    let start = mix(number) % (size - length + 1);
    start..start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lie_in_the_blob() {
        for size in [1, 5, RANGE - 1, RANGE, RANGE + 1, 1 << 30] {
            for number in 0..100 {
                let range = random_range(number, size);
                assert!(range.start < range.end && range.end <= size, "{range:?} of {size}");
                assert_eq!(range.end - range.start, RANGE.min(size));
            }
        }
    }
}
