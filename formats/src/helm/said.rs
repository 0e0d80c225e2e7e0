//! What a chart says about itself besides its entry: an entry has exactly the fields that helm knows, so this has paths
//! of its own.

use super::op::{Act, Op};
use super::read::{at_version, of, personal, unknown};
use crate::dispatch::Granted;
use crate::handler::Reply;
use crate::json_error::json_reply;
use granary_storage::catalog::ChartImageView;
use granary_storage::{Result, Stores};
use http::StatusCode;
use serde_json::{Value, json};

/// `GET api/charts/<name>/<version>/images`: what it says it runs, and what of that is here and may be read.
pub(super) async fn images(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Images { version, .. } = &granted.op().act else {
        return Err(unknown("not a list of images"));
    };
    let chart = at_version(stores, granted, version).await?;
    let repository = granted.existing_repository()?.id;
    let images = stores
        .catalog
        .chart_images(repository, chart.digest, stores.host.clone(), granted.visible().clone())
        .await?;
    let told = json!({
        "name": chart.name,
        "version": chart.version,
        "images": Value::from_iter(images.iter().map(image)),
    });
    Ok(of(&chart, personal(json_reply(StatusCode::OK, format!("{told}\n")))))
}

fn image(view: &ChartImageView) -> Value {
    let ChartImageView { image, here } = view;
    json!({
        "name": image.name,
        "image": image.image,
        "registry": image.registry,
        "repository": image.path,
        "tag": image.tag,
        "digest": image.digest.map(|digest| digest.to_string()),
        "target": here.as_ref().map(|(repository, digest)| json!({
            "repository": repository.as_str(),
            "digest": digest.to_string(),
        })),
    })
}

/// `GET api/charts/<name>/<version>/labels`.
pub(super) async fn labels(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let Act::Labels { version, .. } = &granted.op().act else {
        return Err(unknown("not a list of labels"));
    };
    let chart = at_version(stores, granted, version).await?;
    let repository = granted.existing_repository()?.id;
    let tag = chart.version.replace('+', "_").parse()?;
    let labels = stores.catalog.tag_labels(repository, tag).await?.unwrap_or_default();
    let told = json!({"name": chart.name, "version": chart.version, "labels": labels.to_json()});
    Ok(of(&chart, personal(json_reply(StatusCode::OK, format!("{told}\n")))))
}
