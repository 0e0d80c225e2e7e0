//! The images that charts say they run: what a chart says is kept as it is, and what of it is here is looked up when
//! somebody asks, for a tag moves, and an image may come after its chart.

use super::super::super::charts::{ChartImage, ChartImageView};
use super::super::super::fault::Outcome;
use super::super::super::model::RepositoryId;
use super::super::super::schema::{artifact, chart_image, project, repository, version};
use super::Conn;
use super::rows::{LIVE, only_visible, parse, signed};
use crate::access::Visible;
use crate::digest::Digest;
use crate::name::RepositoryName;
use diesel::prelude::*;
use std::sync::Arc;

/// The tag that a reference means that has none.
const LATEST: &str = "latest";

type Row = ((String, String), (Option<String>, Option<String>, Option<String>, Option<String>));

/// Puts on record what a chart says it runs, in the place of what was there.
pub(super) fn store_chart_images(c: &mut Conn, repository: i64, digest: &str, images: &[ChartImage]) -> Outcome<()> {
    let rows = chart_image::table
        .filter(chart_image::repository.eq(repository))
        .filter(chart_image::digest.eq(digest));
    diesel::delete(rows).execute(c)?;
    for (position, image) in images.iter().enumerate() {
        diesel::insert_into(chart_image::table)
            .values((
                (chart_image::repository.eq(repository), chart_image::digest.eq(digest)),
                chart_image::position.eq(signed(position as u64)),
                (chart_image::name.eq(&image.name), chart_image::image.eq(&image.image)),
                (chart_image::registry.eq(&image.registry), chart_image::path.eq(&image.path)),
                chart_image::tag.eq(&image.tag),
                chart_image::image_digest.eq(image.digest.map(|digest| digest.to_string())),
            ))
            .execute(c)?;
    }
    Ok(())
}

pub(crate) fn chart_images(
    c: &mut Conn,
    repository: &RepositoryId,
    digest: &Digest,
    host: &Option<Arc<str>>,
    visible: &Visible,
) -> Outcome<Vec<ChartImageView>> {
    super::dialect::snapshot(c, |c| {
        let rows = chart_image::table
            .filter(chart_image::repository.eq(repository.0))
            .filter(chart_image::digest.eq(digest.to_string()))
            .order(chart_image::position)
            .select((
                (chart_image::name, chart_image::image),
                (
                    chart_image::registry,
                    chart_image::path,
                    chart_image::tag,
                    chart_image::image_digest,
                ),
            ))
            .load::<Row>(c)?;
        rows.into_iter()
            .map(|((name, image), (registry, path, tag, digest))| {
                let image = ChartImage {
                    name,
                    image,
                    registry,
                    path,
                    tag,
                    digest: digest.as_deref().map(parse).transpose()?,
                };
                let here = here(c, &image, host.as_deref(), visible)?;
                Ok(ChartImageView { image, here })
            })
            .collect()
    })
}

/// The live manifest that an image's reference leads to, where it is visible. Only what is named to be here is looked for:
/// who asked by a digest alone would learn by the time it takes what others hold.
fn here(c: &mut Conn, image: &ChartImage, host: Option<&str>, visible: &Visible) -> Outcome<Option<(RepositoryName, Digest)>> {
    let Some(target) = target(image, host) else { return Ok(None) };
    let found = match &image.digest {
        Some(digest) => by_digest(c, &target, digest, visible)?,
        None => by_tag(c, &target, image.tag.as_deref().unwrap_or(LATEST), visible)?,
    };
    found.map(|(name, digest)| Ok((parse(&name)?, parse(&digest)?))).transpose()
}

/// The repository here that an image's reference names, in a registry that its users know as `host`; `None` when it names
/// another one. Asked each time: a registry may get another name, and its charts stay.
fn target(image: &ChartImage, host: Option<&str>) -> Option<RepositoryName> {
    let (registry, path) = (image.registry.as_deref()?, image.path.as_deref()?);
    if !registry.eq_ignore_ascii_case(host?) {
        return None;
    }
    path.parse().ok()
}

fn by_tag(c: &mut Conn, target: &RepositoryName, tag: &str, visible: &Visible) -> Outcome<Option<(String, String)>> {
    let mut query = repository::table
        .inner_join(project::table)
        .inner_join(version::table.on(version::repository.eq(repository::id)))
        .inner_join(
            artifact::table.on(artifact::repository
                .eq(version::repository)
                .and(artifact::digest.eq(version::digest))),
        )
        .filter(repository::full_name.eq(target.as_str()))
        .filter(version::name.eq(tag))
        .filter(version::state.eq(LIVE))
        .filter(artifact::state.eq(LIVE))
        .select((repository::full_name, artifact::digest))
        .into_boxed();
    query = only_visible!(query, visible);
    Ok(query.first(c).optional()?)
}

fn by_digest(c: &mut Conn, target: &RepositoryName, digest: &Digest, visible: &Visible) -> Outcome<Option<(String, String)>> {
    let mut query = repository::table
        .inner_join(project::table)
        .inner_join(artifact::table.on(artifact::repository.eq(repository::id)))
        .filter(repository::full_name.eq(target.as_str()))
        .filter(artifact::digest.eq(digest.to_string()))
        .filter(artifact::state.eq(LIVE))
        .select((repository::full_name, artifact::digest))
        .into_boxed();
    query = only_visible!(query, visible);
    Ok(query.first(c).optional()?)
}
