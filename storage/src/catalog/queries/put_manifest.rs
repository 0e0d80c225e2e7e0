//! Storing a manifest: one transaction for its bytes, its edges, its names and their history.

use super::super::super::charts::{NewChart, Over};
use super::super::super::fault::{Fault, Outcome, refuse};
use super::super::super::model::{EdgeRole, NewManifest, Stored};
use super::super::super::schema::{artifact, edge, manifest, version, version_history};
use super::Conn;
use super::blobs::linked;
use super::chart_rules::check_version;
use super::charts::{chart_is_known, listed_under, listing_changed, store_chart};
use super::labels::label_chart;
use super::rows::{CHUNK, LIVE, parse, record, signed};
use crate::clock;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, What};
use crate::failpoint;
use crate::name::Tag;
use diesel::prelude::*;
use serde_json::json;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The answer when everything is already as `new` wants it, and nothing has to be written.
pub(crate) fn put_changes_nothing(c: &mut Conn, new: &NewManifest) -> Outcome<Option<Stored>> {
    if !is_live(c, new)? {
        return Ok(None);
    }
    let current = current(c, new)?;
    let same = new.tags.iter().all(|tag| current.get(tag.as_str()) == Some(&new.digest));
    if !same || !conditions_hold(new, &current, true) || !chart_is_known(c, new)? {
        return Ok(None);
    }
    Ok(Some(Stored {
        created: false,
        moved: Vec::new(),
    }))
}

pub(crate) fn put_manifest(c: &mut Conn, new: &NewManifest) -> Outcome<Stored> {
    let repository = new.repository.0;
    let tags: Vec<String> = new.tags.iter().map(ToString::to_string).collect();
    // The digest too: nobody may delete the manifest while names are pointed at it.
    let names = [tags.as_slice(), &[new.digest.to_string()]].concat();
    super::dialect::lock_names(c, repository, &names)?;
    super::dialect::lock_versions(c, repository, &tags)?;
    let current = current(c, new)?;
    let live = is_live(c, new)?;
    if !conditions_hold(new, &current, live) {
        return refuse(
            ErrorKind::PreconditionFailed,
            What::Tag,
            "the condition on what the tag points at does not hold",
        );
    }
    let moves = new.tags.iter().filter(|tag| current.get(tag.as_str()) != Some(&new.digest));
    let moves: Vec<&Tag> = moves.collect();
    let known = live && chart_is_known(c, new)?;
    let retold = live && !known && new.over != Over::Same;
    let mut listed = None;
    for tag in new.tags.iter().filter(|tag| retold || moves.contains(tag)) {
        let same_chart = check_version(c, new, tag)?;
        if !new.may_overwrite && !same_chart && current.contains_key(tag.as_str()) {
            return refuse(
                ErrorKind::Denied,
                What::Tag,
                format!("the tag {tag} exists, and you may not point it elsewhere"),
            );
        }
        listed = listed.or(listed_under(c, repository, tag.as_str())?);
    }
    if !live {
        check_references(c, new)?;
        store(c, new)?;
        record(
            c,
            &new.by,
            "manifest.pushed",
            Some(repository),
            &json!({"digest": new.digest.to_string(), "kind": new.kind.as_str()}),
        )?;
        failpoint::hit("manifest.stored")?;
    }
    if !known {
        store_chart(c, new)?;
    }
    let mut moved = Vec::with_capacity(moves.len());
    for tag in moves {
        if moved.iter().any(|(done, _)| done == tag) {
            continue;
        }
        point(c, new, tag)?;
        failpoint::hit("tag.moved")?;
        moved.push((tag.clone(), current.get(tag.as_str()).copied()));
    }
    if let Some(facts) = new.chart.as_ref().and_then(NewChart::facts)
        && new.tags.contains(&facts.tag)
        && (!known || moved.iter().any(|(moved, _)| *moved == facts.tag))
    {
        label_chart(c, repository, facts)?;
    }
    // What was listed before is listed no more, or what is listed now was not before.
    for tag in &new.tags {
        if listed.is_none() && (!known || moved.iter().any(|(moved, _)| moved == tag)) {
            listed = listed_under(c, repository, tag.as_str())?;
        }
    }
    if let Some(prefix) = listed {
        listing_changed(c, repository, &prefix)?;
    }
    Ok(Stored { created: !live, moved })
}

/// What the wanted tags point at now.
fn current(c: &mut Conn, new: &NewManifest) -> Outcome<HashMap<String, Digest>> {
    let names: Vec<&str> = new.tags.iter().map(Tag::as_str).collect();
    let rows = version::table
        .filter(version::repository.eq(new.repository.0))
        .filter(version::name.eq_any(names))
        .filter(version::state.eq(LIVE))
        .select((version::name, version::digest))
        .load::<(String, String)>(c)?;
    rows.into_iter().map(|(name, digest)| Ok((name, parse(&digest)?))).collect()
}

fn is_live(c: &mut Conn, new: &NewManifest) -> Outcome<bool> {
    // Bytes that were damaged count as absent, so that pushing them again repairs them.
    let found = artifact::table
        .inner_join(manifest::table.on(manifest::digest.eq(artifact::digest)))
        .filter(artifact::repository.eq(new.repository.0))
        .filter(artifact::digest.eq(new.digest.to_string()))
        .filter(artifact::state.eq(LIVE))
        .filter(manifest::bytes.eq(new.bytes.as_ref()))
        .select(artifact::digest)
        .first::<String>(c)
        .optional()?;
    Ok(found.is_some())
}

/// Without tags the condition is about the manifest itself.
fn conditions_hold(new: &NewManifest, current: &HashMap<String, Digest>, live: bool) -> bool {
    if new.tags.is_empty() {
        return new.condition.holds(live.then_some(&new.digest));
    }
    new.tags.iter().all(|tag| new.condition.holds(current.get(tag.as_str())))
}

fn check_references(c: &mut Conn, new: &NewManifest) -> Outcome<()> {
    let required: Vec<_> = new.edges.iter().filter(|edge| edge.required).collect();
    let digests: BTreeSet<String> = required.iter().map(|edge| edge.child.to_string()).collect();
    let digests: Vec<String> = digests.into_iter().collect();
    let mut present = linked(c, new.repository.0, &digests)?;
    let mut children: Vec<String> = required
        .iter()
        .filter(|edge| edge.role == EdgeRole::Child)
        .map(|edge| edge.child.to_string())
        .collect();
    children.sort_unstable();
    for chunk in children.chunks(CHUNK) {
        super::dialect::share_artifacts(c, new.repository.0, chunk)?;
        let live = artifact::table
            .filter(artifact::repository.eq(new.repository.0))
            .filter(artifact::digest.eq_any(chunk))
            .filter(artifact::state.eq(LIVE))
            .select(artifact::digest)
            .load::<String>(c)?;
        present.extend(live);
    }
    match required.iter().find(|edge| !present.contains(&edge.child.to_string())) {
        None => Ok(()),
        Some(missing) => Err(Fault::Refused(Error::invalid(
            What::Reference,
            format!("the manifest refers to {}, which is not in this repository", missing.child),
        ))),
    }
}

fn store(c: &mut Conn, new: &NewManifest) -> Outcome<()> {
    let digest = new.digest.to_string();
    diesel::insert_into(manifest::table)
        .values((manifest::digest.eq(&digest), manifest::bytes.eq(new.bytes.as_ref())))
        .on_conflict(manifest::digest)
        .do_update()
        .set(manifest::bytes.eq(new.bytes.as_ref()))
        .execute(c)?;
    let pushed = (
        artifact::kind.eq(new.kind.as_str()),
        artifact::media_type.eq(&new.media_type),
        artifact::artifact_type.eq(&new.artifact_type),
        artifact::subject.eq(new.subject.map(|subject| subject.to_string())),
        artifact::size.eq(signed(new.bytes.len() as u64)),
        artifact::total_size.eq(signed(new.total_size)),
        artifact::labels.eq(&new.labels),
        artifact::descriptor.eq(&new.descriptor),
        artifact::pushed_at.eq(clock::now()),
        artifact::pushed_by.eq(new.by.as_ref()),
        artifact::state.eq(LIVE),
        artifact::trashed_at.eq(None::<i64>),
    );
    diesel::insert_into(artifact::table)
        .values((
            (artifact::repository.eq(new.repository.0), artifact::digest.eq(&digest)),
            pushed.clone(),
        ))
        .on_conflict((artifact::repository, artifact::digest))
        .do_update()
        .set(pushed)
        .execute(c)?;
    let mut seen = HashSet::new();
    for reference in new.edges.iter().filter(|edge| seen.insert((edge.child, edge.role))) {
        diesel::insert_into(edge::table)
            .values((
                edge::repository.eq(new.repository.0),
                edge::parent.eq(&digest),
                edge::child.eq(reference.child.to_string()),
                edge::role.eq(reference.role.as_str()),
                edge::required.eq(reference.required),
            ))
            .on_conflict((edge::repository, edge::parent, edge::child, edge::role))
            .do_update()
            .set(edge::required.eq(reference.required))
            .execute(c)?;
    }
    Ok(())
}

/// Points a tag at the new manifest and writes the step into its history.
fn point(c: &mut Conn, new: &NewManifest, tag: &Tag) -> Outcome<()> {
    let (now, digest) = (clock::now(), new.digest.to_string());
    let target = (
        version::digest.eq(&digest),
        version::updated_at.eq(now),
        version::updated_by.eq(new.by.as_ref()),
        version::state.eq(LIVE),
    );
    diesel::insert_into(version::table)
        .values(((version::repository.eq(new.repository.0), version::name.eq(tag.as_str())), target))
        .on_conflict((version::repository, version::name))
        .do_update()
        .set(target)
        .execute(c)?;
    diesel::insert_into(version_history::table)
        .values((
            version_history::repository.eq(new.repository.0),
            version_history::name.eq(tag.as_str()),
            version_history::digest.eq(Some(&digest)),
            version_history::at.eq(now),
            version_history::principal.eq(new.by.as_ref()),
        ))
        .execute(c)?;
    record(
        c,
        &new.by,
        "tag.moved",
        Some(new.repository.0),
        &json!({"tag": tag.as_str(), "digest": digest}),
    )
}
