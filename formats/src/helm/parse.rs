//! From a request to an operation: paths, parameters and headers, without I/O.
//!
//! A prefix may hold any segment but `api`, `charts` included, so a path is read from the right:
//! `…/charts/<file>` belongs to what stands before `/charts`.

use super::chart::Part;
use super::coding::Coding;
use super::diff::Form;
use super::op::{Act, Op, Page, Upload};
use super::parameter::parameter;
use super::read::LATEST;
use super::upload::says_yes;
use crate::body::content_length;
use crate::conditions::ReadConditions;
use crate::handler::{Head, method_not_allowed};
use crate::oci::decode;
use crate::paging;
use granary_storage::limits::Limits;
use granary_storage::name::{DEFAULT_PROJECT, Reference, Tag};
use granary_storage::prefix::Prefix;
use granary_storage::{Algorithm, Digest, Error, ErrorKind, Result, What};
use http::Method;
use std::borrow::Cow;

/// Bytes in a path, at most.
const PATH_MAX: usize = 2048;
/// Bytes in the boundary of a form, at most (RFC 2046 §5.1.1).
const BOUNDARY_MAX: usize = 70;
const MOUNT: &str = "/helm";
const ARCHIVE: &str = ".tgz";
const PROVENANCE: &str = ".prov";
const PUBLISHER: &str = "artifacthub-repo.yml";

/// Understands a request.
pub(super) fn parse(head: &Head<'_>, limits: &Limits) -> Result<Op> {
    let segments = segments(head)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    if let Some(at) = segments.iter().position(|segment| *segment == "api") {
        let (before, api) = segments.split_at(at);
        return api_of(head, before, &api[1..], limits);
    }
    let Some((last, before)) = segments.split_last() else {
        return Err(nowhere());
    };
    let media_type = match *last {
        "index.yaml" => "application/yaml",
        "index.json" => "application/json",
        "health" | "info" => {
            let act = if *last == "health" { Act::Health } else { Act::Info };
            read_only(head)?;
            return op(before, |_| Ok(act));
        }
        PUBLISHER => return publisher(head, before),
        _ => return file(head, before, last),
    };
    let is_head = read_only(head)?;
    op(before, |_| {
        Ok(Act::Index {
            media_type,
            coding: head.header_list("accept-encoding").and_then(|list| Coding::asked(&list)),
            head: is_head,
            conditions: ReadConditions::of(head),
        })
    })
}

/// Understands a request to the API of ChartMuseum where it stands before the prefix, `/api/helm/<prefix>/charts`: there
/// a plugin looks for it that has an index without `serverInfo`.
///
/// A prefix may end in `charts`, so this is read from the right, too: the last `charts` that can be the API's is.
pub(super) fn parse_api(head: &Head<'_>, limits: &Limits) -> Result<Op> {
    let segments = segments(head)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    // Behind it stand a chart's name, a version, a part and another version, at most.
    let diff = segments.len().checked_sub(2).is_some_and(|at| segments[at] == "diff");
    let from = segments.len().saturating_sub(if diff { 5 } else { 4 });
    let charts = segments[from..].iter().rposition(|segment| *segment == "charts");
    let at = match (segments.last(), charts) {
        (Some(&"prov"), found) if found.is_none() || *head.method == Method::POST => segments.len() - 1,
        (_, found) => from + found.ok_or_else(nowhere)?,
    };
    let (before, api) = segments.split_at(at);
    api_of(head, before, api, limits)
}

/// `…/artifacthub-repo.yml`.
fn publisher(head: &Head<'_>, before: &[&str]) -> Result<Op> {
    op(before, |prefix| {
        // A name that a repository could have, and a token can bear.
        let own = || prefix.repository(PUBLISHER);
        Ok(match *head.method {
            Method::GET | Method::HEAD => Act::Publisher {
                head: *head.method == Method::HEAD,
                conditions: ReadConditions::of(head),
            },
            Method::PUT => Act::PutPublisher {
                own: own()?,
                length: content_length(head)?,
            },
            Method::DELETE => Act::DeletePublisher { own: own()? },
            _ => return Err(method_not_allowed("GET, HEAD, PUT, DELETE")),
        })
    })
}

fn segments<'h>(head: &Head<'h>) -> Result<Vec<Cow<'h, str>>> {
    if head.path.len() > PATH_MAX {
        return Err(Error::new(
            ErrorKind::UriTooLong,
            What::Request,
            "the path is longer than 2048 bytes",
        ));
    }
    let path = head.path.strip_prefix('/').ok_or_else(nowhere)?;
    path.split('/').map(decode).collect()
}

/// An operation on the chart repository of these segments.
fn op(prefix: &[&str], act: impl FnOnce(&Prefix) -> Result<Act>) -> Result<Op> {
    // Its index could not be asked for: there, what stands behind `api` is the API's.
    if prefix.contains(&"api") {
        return Err(nowhere());
    }
    let (prefix, base): (Prefix, _) = if prefix.is_empty() {
        (DEFAULT_PROJECT.parse()?, MOUNT.to_owned())
    } else {
        let prefix: Prefix = prefix.join("/").parse()?;
        let base = format!("{MOUNT}/{prefix}");
        (prefix, base)
    };
    let act = act(&prefix)?;
    Ok(Op { prefix, base, act })
}

/// `…/charts/<file>`, and `…/<file>` alone for those who leave the folder out.
fn file(head: &Head<'_>, before: &[&str], last: &str) -> Result<Op> {
    let (archive, provenance) = match last.strip_suffix(PROVENANCE) {
        Some(archive) => (archive, true),
        None => (last, false),
    };
    // What names and versions are made of, and nothing that another reader could take for a separator.
    if !is_plain(archive) || !archive.ends_with(ARCHIVE) || archive.len() == ARCHIVE.len() {
        return Err(nowhere());
    }
    let prefix = match before.split_last() {
        Some((&"charts", prefix)) => prefix,
        _ => before,
    };
    let act = match *head.method {
        Method::GET | Method::HEAD => Act::ReadFile {
            file: archive.to_owned(),
            provenance,
            head: *head.method == Method::HEAD,
            conditions: ReadConditions::of(head),
        },
        Method::PUT => {
            let upload = Upload {
                boundary: None,
                file: Some(archive.to_owned()),
                ..upload(head)?
            };
            if provenance { Act::Provenance(upload) } else { Act::Upload(upload) }
        }
        _ => return Err(method_not_allowed("GET, HEAD, PUT")),
    };
    op(prefix, |_| Ok(act))
}

/// `…/api/charts`, and what lies under it.
fn api_of(head: &Head<'_>, before: &[&str], api: &[&str], limits: &Limits) -> Result<Op> {
    match *api {
        ["charts"] => {
            let act = match *head.method {
                Method::POST => Act::Upload(upload(head)?),
                Method::GET | Method::HEAD => Act::Charts {
                    page: page(head)?,
                    head: *head.method == Method::HEAD,
                },
                _ => return Err(method_not_allowed("GET, HEAD, POST")),
            };
            op(before, |_| Ok(act))
        }
        ["charts", name] => {
            read_only(head)?;
            op(before, |prefix| {
                Ok(Act::Versions {
                    repository: prefix.repository(name)?,
                })
            })
        }
        ["charts", name, version] if is_version(version) => {
            let method = head.method;
            if ![Method::GET, Method::HEAD, Method::PATCH, Method::DELETE].contains(method) {
                return Err(method_not_allowed("GET, HEAD, PATCH, DELETE"));
            }
            op(before, |prefix| {
                let (repository, version) = (prefix.repository(name)?, version.to_owned());
                Ok(match *method {
                    Method::DELETE => Act::Delete { repository, version },
                    Method::PATCH => Act::Mark {
                        repository,
                        tag: tag_of(&version)?,
                        version,
                        length: content_length(head)?,
                    },
                    _ => Act::Version { repository, version },
                })
            })
        }
        ["charts", name, version, part] if is_version(version) => {
            let known = Part::named(part);
            if known.is_none() && !["images", "labels"].contains(&part) {
                return Err(nowhere());
            }
            let is_head = read_only(head)?;
            op(before, |prefix| {
                let (repository, version) = (prefix.repository(name)?, version.to_owned());
                Ok(match known {
                    Some(part) => Act::Part {
                        repository,
                        tag: tag(&version)?,
                        version,
                        part,
                        head: is_head,
                    },
                    None if part == "images" => Act::Images { repository, version },
                    None => Act::Labels { repository, version },
                })
            })
        }
        ["charts", name, version, "diff", other] if is_version(version) && is_version(other) => {
            let is_head = read_only(head)?;
            let form = Form::of(head)?;
            op(before, |prefix| {
                Ok(Act::Diff {
                    repository: prefix.repository(name)?,
                    version: version.to_owned(),
                    tag: tag(version)?,
                    other: other.to_owned(),
                    other_tag: tag(other)?,
                    form,
                    head: is_head,
                })
            })
        }
        ["unlisted"] => {
            read_only(head)?;
            let page = paging::page(head, limits)?;
            op(before, |_| Ok(Act::Unlisted(page)))
        }
        ["prov"] => {
            if *head.method != Method::POST {
                return Err(method_not_allowed("POST"));
            }
            let act = Act::Provenance(upload(head)?);
            op(before, |_| Ok(act))
        }
        _ => Err(nowhere()),
    }
}

/// The tag that a version is kept under: a tag holds no `+`.
pub(super) fn tag_of(version: &str) -> Result<Tag> {
    version.replace('+', "_").parse()
}

/// Whether a segment can be a version: in what it is made of, and with nothing that another reader could take for a separator.
fn is_version(segment: &str) -> bool {
    !segment.is_empty() && is_plain(segment)
}

/// Whether a text has the characters alone that names and versions are made of.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// The tag of a version; none for the latest one.
fn tag(version: &str) -> Result<Option<Reference>> {
    let tag = (version != LATEST).then(|| tag_of(version).map(Reference::Tag));
    tag.transpose()
}

/// `?offset=` and `?limit=`.
fn page(head: &Head<'_>) -> Result<Page> {
    let number = |name: &str| {
        let number = head.query_value(name).map(|text| text.parse::<usize>());
        let wrong = |_| Error::invalid(What::Page, format!("{name} is not a number"));
        number.transpose().map_err(wrong)
    };
    Ok(Page {
        offset: number("offset")?.unwrap_or(0),
        limit: number("limit")?,
    })
}

fn upload(head: &Head<'_>) -> Result<Upload> {
    if head.header("content-range").is_some() {
        let sentence = "a chart is sent as a whole; a part of one (Content-Range) cannot be taken";
        return Err(Error::invalid(What::Request, sentence));
    }
    let promised = head.header("x-checksum-sha256").map(|hex| {
        let digest = format!("{}:{}", Algorithm::Sha256.as_str(), hex.trim().to_ascii_lowercase()).parse::<Digest>();
        digest.map_err(|_| Error::invalid(What::Digest, "X-Checksum-Sha256 is not a sha256 in hexadecimal"))
    });
    Ok(Upload {
        length: content_length(head)?,
        boundary: head.header("content-type").map(boundary).transpose()?.flatten(),
        promised: promised.transpose()?,
        file: None,
        // `?force` alone is what the plugins send.
        force: head.query_value("force").is_some_and(|value| value.is_empty() || says_yes(&value)),
    })
}

/// The boundary of a form, when the body is one (RFC 7578).
fn boundary(content_type: &str) -> Result<Option<String>> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    parameter(content_type, "boundary")
        .filter(|text| (1..=BOUNDARY_MAX).contains(&text.len()))
        .map(Some)
        .ok_or_else(|| Error::invalid(What::Request, "the form's Content-Type names no boundary of its parts"))
}

fn nowhere() -> Error {
    Error::not_found(What::Request, "the path is not one of a chart repository")
}

/// Whether a reading request wants headers only; any other is refused.
fn read_only(head: &Head<'_>) -> Result<bool> {
    match *head.method {
        Method::GET => Ok(false),
        Method::HEAD => Ok(true),
        _ => Err(method_not_allowed("GET, HEAD")),
    }
}
