//! A folder in one answer: `…/<folder>/?archive=zip`, `tar` or `tar.gz`, made while it is sent. Nothing of it is kept, in
//! memory or on disk.
//!
//! The folder is walked three times: to know how long the answer is and that all of it may go out, to send it, and once
//! more at the end. What was changed in between makes a walk fail, and the connection with it, before the archive's end: an
//! archive that is complete holds the folder as it was at one time.

mod pack;
mod tar;
#[cfg(test)]
mod tests;
mod walk;
pub(super) mod zip;

use super::files::ASK_AGAIN;
use super::op::{Act, Op};
use crate::dispatch::{Granted, WARNING, warning};
use crate::handler::{Head, Reply, ReplyBody};
use granary_storage::catalog::RepositoryId;
use granary_storage::name::{FilePath, RepositoryName};
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use walk::{Walk, Walked, views};

/// The warnings of a policy that an answer about many files carries, at most.
const WARNINGS_MAX: usize = 8;

/// As what a folder is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ZIP, its files stored as they are.
    Zip,
    /// POSIX tar (pax).
    Tar,
    /// The same, compressed by gzip.
    TarGz,
}

impl Format {
    /// That which a request asks for, if any.
    ///
    /// # Errors
    /// `Invalid`/`Request` for one that is none of them.
    pub(super) fn asked(head: &Head<'_>) -> Result<Option<Self>> {
        match head.query_value("archive").as_deref() {
            None => Ok(None),
            Some("zip") => Ok(Some(Self::Zip)),
            Some("tar") => Ok(Some(Self::Tar)),
            Some("tar.gz" | "tgz") => Ok(Some(Self::TarGz)),
            Some(_) => Err(Error::invalid(What::Request, "a folder is fetched as archive=zip, tar or tar.gz")),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Zip => "application/zip",
            Self::Tar => "application/x-tar",
            Self::TarGz => "application/gzip",
        }
    }

    /// Bytes that the archive has around and between the contents of its files.
    fn frame(self, top: &str, file: &Walked) -> u64 {
        let name = format!("{top}/{}", file.name);
        match self {
            Self::Zip => zip::local(&name, file.size, 0, file.updated_at).len() as u64,
            Self::Tar | Self::TarGz => {
                tar::header(&name, file.size, file.updated_at).len() as u64 + file.size.next_multiple_of(tar::BLOCK) - file.size
            }
        }
    }
}

/// A folder that is to be packed.
#[derive(Clone)]
pub(super) struct Plan {
    stores: Stores,
    repository: RepositoryId,
    folder: Option<FilePath>,
    format: Format,
    /// The folder in which everything lies in the archive.
    top: String,
    /// What a walk through the folder has seen at its end.
    seen: Digest,
}

impl Plan {
    fn walk(&self) -> Walk {
        Walk::new(&self.stores, self.repository, self.folder.clone())
    }
}

/// What the first walk found.
struct Measured {
    seen: Digest,
    /// The bytes of the archive, where they can be known.
    len: u64,
    warnings: Vec<String>,
}

/// `GET` and `HEAD …/<folder>/?archive=…`.
pub(super) async fn fetch(stores: &Stores, granted: &Granted<Op>) -> Result<Reply> {
    let nothing = || Error::not_found(What::File, "there is no such folder");
    let Op { repository: name, act } = granted.op();
    let Act::FetchFolder {
        folder,
        format,
        head,
        conditions,
    } = act
    else {
        return Err(nothing());
    };
    let repository = granted.repository().ok_or_else(nothing)?.id;
    let top = top(name, folder.as_ref());
    let walk = Walk::new(stores, repository, folder.clone());
    // A place from the start: the walk is work, too.
    let reader = granted.principal().account;
    let visit = stores.archives.begin(reader)?;
    let place = stores.downloads.begin(reader, 1)?;
    let measured = measure(stores, granted, walk, *format, &top, *head).await?.ok_or_else(nothing)?;
    drop(place);
    // Times and names are in the archive as well, and what was compressed is the same as long as the program is.
    let tag = Digest::sha256(format!("{}\n{top}\n{}", format.extension(), measured.seen).as_bytes());
    let plain = |status| {
        let reply = Reply::new(status)
            .header(ETAG, format!("\"{tag}\""))
            .header(CACHE_CONTROL, ASK_AGAIN);
        let warnings = measured.warnings.iter();
        warnings.fold(reply, |reply, text| reply.header(WARNING, warning(text)))
    };
    // No date: a file that goes leaves the newest of the others as it was.
    if conditions.not_modified(&tag.to_string(), None)? {
        return Ok(plain(StatusCode::NOT_MODIFIED));
    }
    let reply = plain(StatusCode::OK)
        .header(CONTENT_TYPE, format.media_type())
        .header(CONTENT_DISPOSITION, disposition(&format!("{top}.{}", format.extension())));
    let len = measured.len;
    let plan = Plan {
        stores: stores.clone(),
        repository,
        folder: folder.clone(),
        format: *format,
        top,
        seen: measured.seen,
    };
    let body = match format {
        _ if *head && *format == Format::TarGz => ReplyBody::Unsized {
            stream: Box::pin(futures_util::stream::empty()),
        },
        _ if *head => ReplyBody::Omitted { len },
        // Compressing is work to the end; sending is that of a download.
        Format::TarGz => ReplyBody::Unsized {
            stream: pack::stream(plan, Some(visit)),
        },
        Format::Zip | Format::Tar => ReplyBody::stream(len, pack::stream(plan, None)),
    };
    Ok(reply.with(body))
}

/// Walks the folder: what it holds, how long its archive will be, and whether each of its files may go out; `None` for a
/// folder that holds nothing. Who only asks for the headers is told of what a policy would refuse, too; who has the
/// archive already is not.
async fn measure(
    stores: &Stores,
    granted: &Granted<Op>,
    mut walk: Walk,
    format: Format,
    top: &str,
    head: bool,
) -> Result<Option<Measured>> {
    let limits = &stores.limits;
    let (mut files, mut bytes, mut frames, mut directory) = (0_usize, 0_u64, 0_u64, 0_u64);
    let mut warnings = Vec::new();
    while let Some(page) = walk.next().await? {
        for file in &page {
            files += 1;
            bytes = bytes.saturating_add(file.size);
            if files > limits.folder_archive_files || bytes > limits.folder_archive_bytes {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    What::File,
                    format!(
                        "the folder holds more than {} files or {} bytes, which is the most that is sent as one archive; fetch its folders one by one",
                        limits.folder_archive_files, limits.folder_archive_bytes
                    ),
                ));
            }
            if format == Format::Zip {
                let name = format!("{top}/{}", file.name);
                directory += zip::central(&name, file.size, 0, file.updated_at, frames + bytes - file.size).len() as u64;
            }
            frames += format.frame(top, file);
        }
        if !head {
            admit(stores, granted, &page, &mut warnings).await?;
        }
    }
    if files == 0 {
        return Ok(None);
    }
    let contents = frames.saturating_add(bytes);
    let end = match format {
        Format::Zip => directory + zip::end(files as u64, contents, directory).len() as u64,
        Format::Tar | Format::TarGz => tar::END.len() as u64,
    };
    Ok(Some(Measured {
        seen: walk.seen(),
        len: contents.saturating_add(end),
        warnings,
    }))
}

/// Asks the policies whether the files of a page may go out; adds what they warn of.
async fn admit(stores: &Stores, granted: &Granted<Op>, page: &[Walked], warnings: &mut Vec<String>) -> Result<()> {
    for view in views(stores, granted.existing_repository()?.id, page).await? {
        let said = granted.admit_file(&view).await.map_err(|error| match error.kind() {
            ErrorKind::Blocked => Error::new(ErrorKind::Blocked, What::File, format!("{}: {}", view.path, error.message())),
            _ => error,
        })?;
        for text in said {
            if warnings.len() < WARNINGS_MAX && !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }
    Ok(())
}

/// What the archive and the one folder in it are called: `firmware-1.2` for the folder `1.2` of `acme/firmware`.
fn top(name: &RepositoryName, folder: Option<&FilePath>) -> String {
    let repository = name.as_str().rsplit('/').next().unwrap_or_default();
    match folder {
        None => repository.to_owned(),
        Some(folder) => format!("{repository}-{}", folder.as_str().replace('/', "-")),
    }
}

/// `Content-Disposition` with a name of any script (RFC 6266 §4.3, RFC 8187).
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '%') {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
    match plain == name {
        true => format!("attachment; filename=\"{plain}\""),
        false => format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"),
    }
}
