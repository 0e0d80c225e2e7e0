//! Lists: a page of them from a random place, and all of them page by page.

use super::{Outcome, Timed};
use crate::content::mix;
use crate::drive::{Worker, once, prepare};
use crate::http::{Call, Origin, escape};
use crate::image::Image;
use crate::options::Load;
use crate::registry::{Upload, Way};
use anyhow::{Context as _, Result, bail, ensure};
use hyper::Uri;
use hyper::header::{self, HeaderMap};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// One page of tags.
pub(super) fn tags_page(load: &Load) -> Result<Outcome> {
    page(load, tags(load)?)
}

/// All tags.
pub(super) fn tags_walk(load: &Load) -> Result<Outcome> {
    walk(load, tags(load)?)
}

/// One page of the catalog.
pub(super) fn catalog_page(load: &Load) -> Result<Outcome> {
    page(load, catalog(load)?)
}

/// The whole catalog.
pub(super) fn catalog_walk(load: &Load) -> Result<Outcome> {
    walk(load, catalog(load)?)
}

/// A list of numbered entries.
struct List {
    /// The path without a query.
    path: String,
    /// The member of the answer that holds the entries.
    member: &'static str,
    /// What the names of entries begin with.
    stem: String,
    /// How many there are; the server may have others besides.
    total: u64,
    /// How many are asked for at a time.
    page: u64,
}

impl List {
    fn entry(&self, number: u64) -> String {
        entry(&self.stem, number)
    }

    fn parameters(&self) -> Value {
        json!({"total": self.total, "page": self.page})
    }

    /// The path of the page behind an entry.
    fn page_after(&self, number: u64) -> String {
        format!("{}?n={}&last={}", self.path, self.page, escape(&self.entry(number)))
    }
}

/// The name of a numbered entry: such that names sort as numbers do.
fn entry(stem: &str, number: u64) -> String {
    format!("{stem}{number:07}")
}

/// The tags of a repository, pushed.
fn tags(load: &Load) -> Result<List> {
    let options = &load.options;
    let repository = format!("{}/tags-{}", options.prefix, options.tags);
    let image = Arc::new(Image::tiny(options, repository, &entry("t", 0), 1));
    push_tags(load, &image, options.tags)?;
    Ok(List {
        path: format!("/v2/{}/tags/list", image.repository),
        member: "tags",
        stem: "t".to_owned(),
        total: options.tags,
        page: options.page,
    })
}

/// Tags of one image. The last goes in last: it is the mark that all are there, and then nothing is pushed.
fn push_tags(load: &Load, image: &Arc<Image>, total: u64) -> Result<()> {
    let last = entry("t", total - 1);
    if once(load, async |worker: &mut Worker| worker.has_tag(&image.repository, &last).await)? {
        return Ok(());
    }
    let pushed = image.clone();
    prepare(load, 1, async move |worker: &mut Worker, _| {
        worker.push(&pushed, Way::Whole, true).await
    })?;
    let tagged = image.clone();
    let tag = async move |worker: &mut Worker, number| {
        let name = entry("t", number);
        worker.put_manifest(&tagged.repository, &name, &tagged.manifest).await
    };
    prepare(load, total - 1, tag.clone())?;
    prepare(load, 1, async move |worker: &mut Worker, _| tag(worker, total - 1).await)
}

/// The catalog, its repositories pushed.
fn catalog(load: &Load) -> Result<List> {
    let options = &load.options;
    let stem = format!("{}/cat-", options.prefix);
    push_repositories(load, &stem, options.repos)?;
    Ok(List {
        path: "/v2/_catalog".to_owned(),
        member: "repositories",
        stem,
        total: options.repos,
        page: options.page,
    })
}

/// Repositories with the same small image, the last in last.
fn push_repositories(load: &Load, stem: &str, total: u64) -> Result<()> {
    let last = entry(stem, total - 1);
    if once(load, async |worker: &mut Worker| worker.has_tag(&last, "v1").await)? {
        return Ok(());
    }
    let base = Arc::new(Image::tiny(&load.options, format!("{stem}base"), "v1", 5));
    let pushed = base.clone();
    prepare(load, 1, async move |worker: &mut Worker, _| {
        worker.push(&pushed, Way::Whole, true).await
    })?;
    let stem = stem.to_owned();
    let push = async move |worker: &mut Worker, number| worker.push_copy(&base, &entry(&stem, number)).await;
    prepare(load, total - 1, push.clone())?;
    prepare(load, 1, async move |worker: &mut Worker, _| push(worker, total - 1).await)
}

impl Worker {
    /// Pushes an image to another repository too, with its blobs mounted where the server does that.
    async fn push_copy(&mut self, image: &Image, repository: &str) -> Result<()> {
        let layers = image.layers.iter().map(|layer| Upload::blob(repository, layer));
        for upload in layers.chain([Upload::document(repository, &image.config)]) {
            if !self.mount(repository, &image.repository, upload.digest).await? {
                self.upload(upload, Way::Whole).await?;
            }
        }
        self.put_manifest(repository, &image.tag, &image.manifest).await
    }
}

fn page(load: &Load, list: List) -> Result<Outcome> {
    let timed = Timed::new(&load.options).with(list.parameters());
    timed.run(load, {
        let list = Arc::new(list);
        async move |worker: &mut Worker, number| {
            let start = Instant::now();
            let from = mix(number ^ 0x11) % list.total.saturating_sub(list.page + 1).max(1);
            let reply = worker.connection.fetch(Call::get(&list.page_after(from))).await?;
            reply.require(&[200], "list")?;
            worker.record.received += reply.body.len() as u64;
            worker.record.latency("op", start.elapsed());
            let entries = entries(&reply.body, list.member)?;
            if entries.first() != Some(&list.entry(from + 1)) {
                worker.record.note("wrong_start");
            }
            if entries.len() as u64 != list.page {
                worker.record.note("page_not_full");
            }
            Ok(())
        }
    })
}

fn walk(load: &Load, list: List) -> Result<Outcome> {
    let timed = Timed::new(&load.options).on_one_connection().with(list.parameters());
    timed.run(load, {
        let list = Arc::new(list);
        async move |worker: &mut Worker, _| {
            let start = Instant::now();
            // The server may have more than was pushed, but not without end.
            let most = list.total * 4 + 100_000;
            let mut next = Some(format!("{}?n={}", list.path, list.page));
            let (mut seen, mut last) = (0, String::new());
            while let Some(path) = next {
                let page_start = Instant::now();
                let reply = worker.connection.fetch(Call::get(&path)).await?;
                reply.require(&[200], "list")?;
                worker.record.latency("page", page_start.elapsed());
                worker.record.received += reply.body.len() as u64;
                for entry in entries(&reply.body, list.member)? {
                    if entry <= last {
                        worker.record.note("out_of_order");
                    }
                    last = entry;
                    seen += 1;
                }
                next = next_page(&reply.headers)?;
                ensure!(seen <= most, "list: the pages do not end");
            }
            ensure!(seen >= list.total, "list: {seen} of {} seen", list.total);
            worker.record.latency("op", start.elapsed());
            Ok(())
        }
    })
}

fn entries(body: &[u8], member: &str) -> Result<Vec<String>> {
    let answer: Value = serde_json::from_slice(body).context("list")?;
    let entries = answer[member].as_array().with_context(|| format!("list: there are no {member}"))?;
    Ok(entries.iter().map(|entry| entry.as_str().unwrap_or("").to_owned()).collect())
}

/// Path and query of the next page, from the `Link` header (RFC 8288).
///
/// # Errors
/// When it is on another machine.
fn next_page(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(link) = headers.get(header::LINK) else {
        return Ok(None);
    };
    let link = link.to_str().context("the Link is not text")?;
    let Some((target, relation)) = link.strip_prefix('<').and_then(|link| link.split_once('>')) else {
        bail!("the Link cannot be read: {link}");
    };
    if !relation.contains("next") {
        return Ok(None);
    }
    let url: Uri = target.parse().context("Link")?;
    if url.host().is_some() {
        Origin::of(&url)?;
    }
    Ok(url.path_and_query().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn next(link: &str) -> Result<Option<String>> {
        next_page(&HeaderMap::from_iter([(header::LINK, link.parse().unwrap())]))
    }

    #[test]
    fn the_next_page_is_where_the_link_says() {
        let page = Some("/v2/_catalog?n=2&last=b".to_owned());
        assert_eq!(next(r#"</v2/_catalog?n=2&last=b>; rel="next""#).unwrap(), page);
        assert_eq!(next("</v2/_catalog?n=2&last=b>;rel=next").unwrap(), page);
        assert_eq!(next(r#"<http://127.0.0.1:5000/v2/_catalog?n=2&last=b>; rel="next""#).unwrap(), page);
        assert_eq!(next(r#"</v2/_catalog>; rel="prev""#).unwrap(), None);
        assert_eq!(next_page(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_link_elsewhere_or_of_no_sense_is_refused() {
        assert!(next(r#"<http://10.0.0.1/v2/_catalog>; rel="next""#).is_err());
        assert!(next("/v2/_catalog; rel=next").is_err());
    }

    #[test]
    fn entries_sort_as_their_numbers_do_and_are_escaped_in_paths() {
        let list = List {
            path: "/v2/_catalog".to_owned(),
            member: "repositories",
            stem: "load/cat-".to_owned(),
            total: 2_000_000,
            page: 10,
        };
        assert!(list.entry(9) < list.entry(10) && list.entry(99_999) < list.entry(1_000_000));
        assert_eq!(list.page_after(7), "/v2/_catalog?n=10&last=load%2Fcat-0000007");
    }

    #[test]
    fn entries_are_read_out_of_the_answer() {
        assert_eq!(entries(br#"{"name":"a","tags":["b","c"]}"#, "tags").unwrap(), ["b", "c"]);
        assert!(entries(br#"{"name":"a","tags":null}"#, "tags").is_err());
        assert!(entries(b"<html>", "tags").is_err());
    }
}
