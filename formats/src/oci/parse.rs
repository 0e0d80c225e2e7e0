//! From a request to an operation: paths, parameters and headers, without I/O.
//!
//! A repository's name may hold any component, `blobs` and `tags` included, so a path
//! is read from the right. Percent-encoding is decoded segment by segment: an encoded
//! slash never becomes a separator.

use super::op::{Act, ChunkRange, Mount, Named, Op};
use crate::body::content_length;
use crate::conditions::{ReadConditions, condition};
use crate::handler::{Head, method_not_allowed};
use crate::paging::page;
use granary_storage::blob::UploadId;
use granary_storage::limits::Limits;
use granary_storage::name::{Reference, Tag};
use granary_storage::{Algorithm, Digest, Error, ErrorKind, Result, What};
use http::Method;
use std::borrow::Cow;

/// Bytes in a path, at most: the longest name, a sha512 digest and the words between them fit three times over.
const PATH_MAX: usize = 2048;

/// Understands a request.
pub(super) fn parse(head: &Head<'_>, limits: &Limits) -> Result<Op> {
    if head.path.len() > PATH_MAX {
        return Err(Error::new(
            ErrorKind::UriTooLong,
            What::Request,
            "the path is longer than 2048 bytes",
        ));
    }
    let path = head.path.strip_prefix('/').unwrap_or("");
    if path.is_empty() {
        return read_only(head, || {
            Ok(Op {
                name: None,
                act: Act::Base,
            })
        });
    }
    if path == "_catalog" {
        return read_only(head, || {
            Ok(Op {
                name: None,
                act: Act::Catalog(page(head, limits)?),
            })
        });
    }
    let (name, route) = route(path)?;
    let act = match route {
        Route::Tags => read_only(head, || page(head, limits).map(Act::Tags))?,
        Route::Referrers(digest) => read_only(head, || referrers(head, &digest, limits))?,
        Route::Manifest(reference) => manifest(head, &reference, limits)?,
        Route::Blob(digest) => blob(head, digest.parse()?)?,
        Route::Uploads => start_upload(head)?,
        Route::Upload(id) => upload(head, id.parse()?)?,
    };
    Ok(Op {
        name: Some(named(&name)?),
        act,
    })
}

enum Route<'p> {
    Tags,
    Referrers(Cow<'p, str>),
    Manifest(Cow<'p, str>),
    Blob(Cow<'p, str>),
    Uploads,
    Upload(Cow<'p, str>),
}

/// Splits a path into the name and what is asked of it.
fn route(path: &str) -> Result<(Cow<'_, str>, Route<'_>)> {
    let unknown = || {
        Error::invalid(
            What::Name,
            "the path is not one of this API's, or the repository name in it is malformed",
        )
    };
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Ok((decode(name)?, Route::Tags));
    }
    if let Some(name) = path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads")) {
        return Ok((decode(name)?, Route::Uploads));
    }
    let (rest, last) = path.rsplit_once('/').ok_or_else(unknown)?;
    let last = decode(last)?;
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        return Ok((decode(name)?, Route::Upload(last)));
    }
    let (name, noun) = rest.rsplit_once('/').ok_or_else(unknown)?;
    let route = match noun {
        "manifests" => Route::Manifest(last),
        "blobs" => Route::Blob(last),
        "referrers" => Route::Referrers(last),
        _ => return Err(unknown()),
    };
    Ok((decode(name)?, route))
}

/// Percent-decoding that refuses what would change the path's shape.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let slashes = text.matches('/').count();
    let bad = || Error::invalid(What::Name, "the path holds an encoding that has no place in it");
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| bad())?;
    // One decoding only: what still looks encoded afterwards was encoded twice.
    if decoded.matches('/').count() != slashes || decoded.contains(['%', '\0', '\\']) {
        return Err(bad());
    }
    Ok(decoded)
}

fn named(name: &str) -> Result<Named> {
    Ok(Named {
        requested: name.to_owned(),
        repository: name.parse()?,
    })
}

fn read_only<T>(head: &Head<'_>, parse: impl FnOnce() -> Result<T>) -> Result<T> {
    if matches!(*head.method, Method::GET | Method::HEAD) {
        parse()
    } else {
        Err(method_not_allowed("GET, HEAD"))
    }
}

fn manifest(head: &Head<'_>, text: &str, limits: &Limits) -> Result<Act> {
    let reference: Result<Reference> = text.parse();
    match *head.method {
        Method::GET | Method::HEAD => Ok(Act::ReadManifest {
            reference: absent_if_bad_tag(reference)?,
            head: *head.method == Method::HEAD,
            conditions: ReadConditions::of(head),
        }),
        Method::DELETE => Ok(Act::DeleteManifest {
            reference: absent_if_bad_tag(reference)?,
        }),
        Method::PUT => {
            let reference = reference?;
            let tags = tag_parameters(head, &reference, limits)?;
            let media_type = head
                .header("content-type")
                .map(without_parameters)
                .filter(|text| !text.is_empty())
                .map(str::to_owned);
            Ok(Act::PutManifest {
                reference,
                tags,
                media_type,
                condition: condition(head),
                length: content_length(head)?,
            })
        }
        _ => Err(method_not_allowed("GET, HEAD, PUT, DELETE")),
    }
}

/// No manifest can have a name that is no tag: absence, not a malformed request.
fn absent_if_bad_tag(reference: Result<Reference>) -> Result<Reference> {
    reference.map_err(|error| match error.what() {
        What::Tag => Error::not_found(What::Manifest, "there is no such manifest in this repository"),
        _ => error,
    })
}

fn tag_parameters(head: &Head<'_>, reference: &Reference, limits: &Limits) -> Result<Vec<Tag>> {
    let mut tags = Vec::new();
    for text in head.query_values("tag") {
        if matches!(reference, Reference::Tag(_)) {
            return Err(Error::invalid(What::Tag, "tag parameters go with a digest in the path"));
        }
        if tags.len() == limits.tag_parameters {
            let sentence = format!("there are more than {} tag parameters", limits.tag_parameters);
            return Err(Error::new(ErrorKind::UriTooLong, What::Tag, sentence));
        }
        tags.push(text.parse()?);
    }
    Ok(tags)
}

fn without_parameters(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or(media_type).trim()
}

fn blob(head: &Head<'_>, digest: Digest) -> Result<Act> {
    match *head.method {
        Method::GET | Method::HEAD => Ok(Act::ReadBlob {
            digest,
            head: *head.method == Method::HEAD,
            conditions: ReadConditions::of(head),
        }),
        Method::DELETE => Ok(Act::DeleteBlob { digest }),
        _ => Err(method_not_allowed("GET, HEAD, DELETE")),
    }
}

fn start_upload(head: &Head<'_>) -> Result<Act> {
    if *head.method != Method::POST {
        return Err(method_not_allowed("POST"));
    }
    let digest: Option<Digest> = head.query_value("digest").map(|text| text.parse()).transpose()?;
    let algorithm = match head.query_value("digest-algorithm") {
        Some(text) => text.parse()?,
        None => digest.map_or(Algorithm::Sha256, |digest| digest.algorithm()),
    };
    let mount = match head.query_value("mount") {
        None => None,
        Some(text) => {
            let digest = text.parse()?;
            match head.query_value("from").map(|name| named(&name)) {
                None => Some(Mount { digest, from: None }),
                Some(Ok(from)) => Some(Mount { digest, from: Some(from) }),
                // Nothing can be mounted from a name that cannot exist: the client gets a session.
                Some(Err(_)) => None,
            }
        }
    };
    Ok(Act::StartUpload {
        mount,
        digest,
        algorithm,
        length: content_length(head)?,
    })
}

fn upload(head: &Head<'_>, id: UploadId) -> Result<Act> {
    match *head.method {
        Method::GET | Method::HEAD => Ok(Act::UploadStatus { id }),
        Method::DELETE => Ok(Act::CancelUpload { id }),
        Method::PATCH => Ok(Act::Append {
            id,
            range: chunk_range(head)?,
            length: content_length(head)?,
        }),
        Method::PUT => {
            let digest = head
                .query_value("digest")
                .ok_or_else(|| Error::invalid(What::Digest, "the digest parameter is missing"))?;
            Ok(Act::Finish {
                id,
                digest: digest.parse()?,
                range: chunk_range(head)?,
                length: content_length(head)?,
            })
        }
        _ => Err(method_not_allowed("GET, HEAD, PATCH, PUT, DELETE")),
    }
}

fn referrers(head: &Head<'_>, digest: &str, limits: &Limits) -> Result<Act> {
    let artifact_type = head.query_value("artifactType").filter(|text| !text.is_empty());
    Ok(Act::Referrers {
        subject: digest.parse()?,
        artifact_type,
        page: page(head, limits)?,
    })
}

/// `Content-Range: <first>-<last>`; the form with a unit and a total is accepted too.
fn chunk_range(head: &Head<'_>) -> Result<Option<ChunkRange>> {
    let Some(text) = head.header("content-range") else {
        return Ok(None);
    };
    let text = text.trim();
    let text = text.strip_prefix("bytes").map_or(text, str::trim_start);
    let text = text.split('/').next().unwrap_or(text);
    let number = |part: &str| {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            part.parse::<u64>().ok()
        } else {
            None
        }
    };
    text.split_once('-')
        .and_then(|(first, last)| number(first).zip(number(last)))
        .filter(|(first, last)| first <= last && *last < u64::MAX)
        .map(|(first, last)| Some(ChunkRange { first, last }))
        .ok_or_else(|| Error::invalid(What::Size, "Content-Range is written <first byte>-<last byte>"))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
