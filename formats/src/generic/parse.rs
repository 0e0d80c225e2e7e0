//! From a request to an operation: paths, parameters and headers, without I/O.
//!
//! The first two segments name the repository, the rest the file; a slash at the end makes a folder of it.

use super::archive::Within;
use super::checksums::Promises;
use super::deploy;
use super::download::Format;
use super::labels;
use super::listing::Form;
use super::media;
use super::newest;
use super::op::{Act, Op, PutFile};
use super::path::decode;
use super::releases;
use super::tus_create;
use crate::body::content_length;
use crate::conditions::{ReadConditions, dated_condition};
use crate::handler::{Head, method_not_allowed};
use crate::paging::page;
use granary_storage::label::Labels;
use granary_storage::limits::Limits;
use granary_storage::name::{FilePath, RepositoryName};
use granary_storage::{Error, ErrorKind, Result, What};
use http::Method;

/// Bytes in a path, at most: that of a file with every byte encoded, and the longest name before it.
const PATH_MAX: usize = 8192;

/// Understands a request.
pub(super) fn parse(head: &Head<'_>, limits: &Limits) -> Result<Op> {
    if head.path.len() > PATH_MAX {
        return Err(Error::new(
            ErrorKind::UriTooLong,
            What::Request,
            "the path is longer than 8192 bytes",
        ));
    }
    let (path, labels) = match *head.method {
        Method::PUT => labels::of_put(head, limits)?,
        Method::GET | Method::HEAD | Method::PATCH | Method::DELETE => (head.path, Labels::default()),
        _ if head.path.contains(';') => return Err(method_not_allowed("PUT")),
        _ => (head.path, Labels::default()),
    };
    let (repository, rest) = split(path)?;
    if let Some(act) = newest::of(head, &rest)? {
        return Ok(Op { repository, act });
    }
    if let Some(act) = fetch(head, &rest)? {
        return Ok(Op { repository, act });
    }
    let act = match rest {
        Place::Folder(folder) => match *head.method {
            Method::GET | Method::HEAD => match releases::of(head, folder.as_ref(), limits)? {
                Some(act) => act,
                None => Act::ListFiles {
                    within: folder.as_ref().and_then(|folder| Within::of(&format!("{folder}/"))),
                    recursive: head.query_value("recursive").is_some(),
                    folder,
                    page: page(head, limits)?,
                    form: Form::of(head)?,
                },
            },
            Method::POST if folder.is_none() => Act::StartUpload {
                wanted: tus_create::parse(head, limits)?,
            },
            Method::OPTIONS if folder.is_none() => Act::UploadAbilities,
            Method::PUT => return Err(bad("the path ends in a slash: name the file that is to be stored in this folder")),
            Method::DELETE => return Err(bad("the path ends in a slash: a folder goes with the last file in it")),
            _ if folder.is_none() => return Err(method_not_allowed("GET, HEAD, POST, OPTIONS")),
            _ => return Err(method_not_allowed("GET, HEAD")),
        },
        Place::File(path) => match *head.method {
            Method::GET | Method::HEAD if head.query_value("labels").is_some() => Act::ReadLabels {
                path,
                conditions: ReadConditions::of(head),
            },
            Method::GET | Method::HEAD => Act::ReadFile {
                within: Within::of(path.as_str()),
                recursive: head.query_value("recursive").is_some(),
                path,
                head: *head.method == Method::HEAD,
                conditions: ReadConditions::of(head),
            },
            Method::PUT => put(head, path, labels)?,
            Method::PATCH => Act::ChangeLabels {
                path,
                condition: dated_condition(head),
                length: content_length(head)?,
            },
            Method::DELETE => Act::DeleteFile {
                path,
                condition: dated_condition(head),
            },
            _ => return Err(method_not_allowed("GET, HEAD, PUT, PATCH, DELETE")),
        },
    };
    Ok(Op { repository, act })
}

/// All of a folder, where that is asked. A file has no parts to be packed, so one who leaves the slash out means a folder.
fn fetch(head: &Head<'_>, place: &Place) -> Result<Option<Act>> {
    let format = match *head.method {
        Method::GET | Method::HEAD => Format::asked(head)?,
        _ => None,
    };
    Ok(format.map(|format| Act::FetchFolder {
        folder: match place {
            Place::Folder(folder) => folder.clone(),
            Place::File(path) => Some(path.clone()),
        },
        format,
        head: *head.method == Method::HEAD,
        conditions: ReadConditions::of(head),
    }))
}

fn bad(why: &'static str) -> Error {
    Error::invalid(What::Name, why)
}

/// What a path is of.
pub(super) enum Place {
    Folder(Option<FilePath>),
    File(FilePath),
}

/// Splits a path into the repository and what is asked of it.
fn split(path: &str) -> Result<(RepositoryName, Place)> {
    let incomplete = || bad("a file is at /generic/<project>/<name>/<path>");
    let mut segments = path.strip_prefix('/').ok_or_else(incomplete)?.splitn(3, '/');
    let (project, name) = segments.next().zip(segments.next()).ok_or_else(incomplete)?;
    let repository = format!("{}/{}", decode(project)?, decode(name)?).parse()?;
    let place = match segments.next() {
        None | Some("") => Place::Folder(None),
        Some(rest) => match rest.strip_suffix('/') {
            Some(folder) => Place::Folder(Some(file_path(folder)?)),
            None => Place::File(file_path(rest)?),
        },
    };
    Ok((repository, place))
}

fn file_path(text: &str) -> Result<FilePath> {
    let segments: Vec<String> = text.split('/').map(decode).collect::<Result<_>>()?;
    segments.join("/").parse()
}

fn put(head: &Head<'_>, path: FilePath, labels: Labels) -> Result<Act> {
    let refused = |header, why| match head.header_list(header) {
        None => Ok(()),
        Some(_) => Err(Error::invalid(What::Request, why)),
    };
    // RFC 9110 §14.5: what a server does not understand must not pass for the whole.
    refused("content-range", "a part of a file cannot be stored by PUT; send the whole file")?;
    refused("x-explode-archive", "archives are stored as they are; unpack before sending")?;
    refused("x-explode-archive-atomic", "archives are stored as they are; unpack before sending")?;
    check_coding(head)?;
    let deploy = deploy::asked(head)?;
    if head.length_unknown && !deploy {
        let sentence = "HTTP/1.0 says where a file ends by its Content-Length; send one";
        return Err(Error::new(ErrorKind::LengthRequired, What::Size, sentence));
    }
    Ok(Act::PutFile(PutFile {
        path,
        media_type: head.header("content-type").and_then(media::named),
        condition: dated_condition(head),
        promises: Promises::of(head)?,
        length: content_length(head)?,
        labels,
        deploy,
    }))
}

/// Refuses bytes that are to be decoded before they are what they are said to be.
///
/// # Errors
/// `Unsupported`/`File` naming the coding.
pub(super) fn check_coding(head: &Head<'_>) -> Result<()> {
    // RFC 9110 §8.4.1: kept so, it would have to be told of with every answer, and its checksums would be those of
    // something else than what most clients make of it.
    let codings = head.header_list("content-encoding").unwrap_or_default();
    let mut codings = codings.split(',').map(str::trim);
    match codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")) {
        None => Ok(()),
        Some(coding) => {
            let sentence =
                format!("a file is stored as its bytes come, and never as Content-Encoding: {coding}; send it without that header");
            Err(Error::new(ErrorKind::Unsupported, What::File, sentence))
        }
    }
}
