//! The referrers of a manifest: signatures, attestations, inventories.

use super::{Outcome, Timed};
use crate::drive::{Worker, prepare};
use crate::http::Call;
use crate::image::{INDEX, Image};
use crate::options::Load;
use crate::registry::Way;
use anyhow::{Context as _, Result, ensure};
use hyper::header;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The list of all referrers of one subject.
pub(super) fn list(load: &Load) -> Result<Outcome> {
    let options = &load.options;
    let count = options.referrers;
    let subject = Arc::new(Image::tiny(options, format!("{}/refs", options.prefix), "subject", 99));
    let path = format!("/v2/{}/referrers/{}", subject.repository, subject.manifest.digest);
    let (image, asked) = (subject.clone(), path.clone());
    prepare(load, 1, async move |worker: &mut Worker, _| {
        worker.push(&image, Way::Whole, true).await?;
        let reply = worker.connection.fetch(Call::get(&asked)).await?;
        reply.require(&[200], "the server has no referrers API")
    })?;
    prepare(load, count, async move |worker: &mut Worker, number| {
        let referrer = subject.referrer(number);
        worker.put_manifest(&subject.repository, &referrer.digest, &referrer).await
    })?;
    // What was found to be right once is compared byte by byte from then on: taking 12 KB of JSON apart each time, this
    // program would be the slower of the two, and the server's cost that of falling asleep and being woken.
    let right = Arc::new(OnceLock::new());
    Timed::new(options)
        .with(json!({"referrers": count}))
        .run(load, async move |worker: &mut Worker, _| {
            let start = Instant::now();
            let reply = worker
                .connection
                .fetch(Call::get(&path).headers(&[(header::ACCEPT, INDEX)]))
                .await?;
            reply.require(&[200], "referrers")?;
            if right.get() != Some(&reply.body) {
                let index: Value = serde_json::from_slice(&reply.body).context("referrers")?;
                let found = index["manifests"].as_array().map_or(0, Vec::len) as u64;
                let more_to_come = reply.headers.contains_key(header::LINK);
                ensure!(found == count || more_to_come, "referrers: {found} instead of {count}");
                let _ = right.set(reply.body.clone());
            }
            worker.record.received += reply.body.len() as u64;
            worker.record.latency("op", start.elapsed());
            Ok(())
        })
}
