//! All files below a folder, in the order of their paths, page by page; and a mark of everything that was seen.

use granary_storage::catalog::{FileView, FolderEntry, RepositoryId};
use granary_storage::clock::Millis;
use granary_storage::name::FilePath;
use granary_storage::{Digest, Error, ErrorKind, Result, Stores, What};
use std::fmt::Write as _;

/// Files that are read at a time.
const PAGE: usize = 500;

/// A file of the folder.
pub(super) struct Walked {
    /// Its path from the folder.
    pub(super) name: String,
    /// Its path.
    pub(super) path: FilePath,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) updated_at: Millis,
}

impl Walked {
    fn is(&self, view: &FileView) -> bool {
        !view.damaged && view.path == self.path && view.blob.digest == self.digest && view.blob.size == self.size
    }
}

/// The files of a page with their bytes, in its order, as they were when they were walked by.
///
/// # Errors
/// `Conflict`/`File` when one is another by now, or none.
pub(super) async fn views(stores: &Stores, repository: RepositoryId, page: &[Walked]) -> Result<Vec<FileView>> {
    let paths = page.iter().map(|walked| walked.path.clone()).collect();
    let views = stores.catalog.files(repository, paths).await?;
    let same = views.len() == page.len() && page.iter().zip(&views).all(|(walked, view)| walked.is(view));
    if same { Ok(views) } else { Err(changed()) }
}

/// What was begun cannot be ended as it was announced.
pub(super) fn changed() -> Error {
    Error::new(
        ErrorKind::Conflict,
        What::File,
        "the folder was changed while it was being read; ask again",
    )
}

/// A walk.
pub(super) struct Walk {
    stores: Stores,
    repository: RepositoryId,
    folder: Option<FilePath>,
    after: Option<String>,
    ended: bool,
    seen: Digest,
}

impl Walk {
    pub(super) fn new(stores: &Stores, repository: RepositoryId, folder: Option<FilePath>) -> Self {
        Self {
            stores: stores.clone(),
            repository,
            folder,
            after: None,
            ended: false,
            seen: Digest::sha256(b""),
        }
    }

    /// Stands for everything that was walked by: two walks that end with the same have seen the same.
    pub(super) fn seen(&self) -> Digest {
        self.seen
    }

    /// The files that come next; `None` behind the last one.
    ///
    /// # Errors
    /// `Conflict`/`File` for a file whose bytes are damaged: what is sent is everything or nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Walked>>> {
        if self.ended {
            return Ok(None);
        }
        let (folder, after) = (self.folder.clone(), self.after.take());
        let page = self.stores.catalog.list_files_below(self.repository, folder, after, PAGE).await?;
        self.ended = page.len() < PAGE;
        self.after = page.last().map(FolderEntry::marker);
        let mut marks = self.seen.to_string();
        let mut files = Vec::with_capacity(page.len());
        for entry in page {
            // The files of a folder and of those below it: there is nothing else among them.
            let FolderEntry::File {
                name,
                digest,
                size,
                updated_at,
                damaged,
                ..
            } = entry
            else {
                continue;
            };
            let path: FilePath = match &self.folder {
                None => name.parse()?,
                Some(folder) => format!("{folder}/{name}").parse()?,
            };
            if damaged {
                let sentence = format!("{path} is damaged; store it again, or fetch the other files one by one");
                return Err(Error::new(ErrorKind::Conflict, What::File, sentence));
            }
            // No name holds a line's end. Writing to a text cannot fail.
            let _ = write!(marks, "\n{digest} {size} {updated_at} {path}");
            files.push(Walked {
                name,
                path,
                digest,
                size,
                updated_at,
            });
        }
        self.seen = Digest::sha256(marks.as_bytes());
        Ok(Some(files))
    }
}
