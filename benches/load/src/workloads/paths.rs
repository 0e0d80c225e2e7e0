//! GETs of one path, whatever it is.

use super::{Outcome, Timed};
use crate::drive::Worker;
use crate::http::{Call, drain, require};
use crate::options::Load;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::time::Instant;

/// `GET /v2/`
pub(super) fn ping(load: &Load) -> Result<Outcome> {
    get(load, Timed::new(&load.options), "/v2/".to_owned())
}

/// GET of a Helm index.
pub(super) fn helm_index(load: &Load) -> Result<Outcome> {
    let path = load.options.helm_path.clone().context("--helm-path is needed")?;
    get(load, Timed::new(&load.options).with(json!({"path": path})), path)
}

/// GET of a path.
pub(super) fn path(load: &Load) -> Result<Outcome> {
    let path = load.options.path.clone().context("--path is needed")?;
    get(load, Timed::new(&load.options).with(json!({"path": path})), path)
}

fn get(load: &Load, timed: Timed, path: String) -> Result<Outcome> {
    timed.run(load, async move |worker: &mut Worker, _| {
        let start = Instant::now();
        let response = worker.connection.send(Call::get(&path)).await?;
        require(response.status(), &[200], "get")?;
        worker.record.received += drain(response).await?;
        worker.record.latency("op", start.elapsed());
        Ok(())
    })
}
