//! What stands directly in one folder of an archive: gathered from all entries, and no more of it kept than a page shows.

use granary_storage::clock::Millis;
use granary_storage::name::FilePath;
use std::collections::BTreeMap;

/// A file or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Folder,
    File {
        size: u64,
        updated_at: Option<Millis>,
        encrypted: bool,
    },
}

/// The path that an entry's name is, where it is one: nothing that leads upwards, to a root or to a drive.
pub(super) fn path(name: &[u8]) -> Option<FilePath> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.strip_prefix("./").unwrap_or(name);
    name.strip_suffix('/').unwrap_or(name).parse().ok()
}

/// One page of a folder.
pub(super) struct Level {
    /// The folder, ending in a slash; empty for all of the archive.
    folder: String,
    after: Option<String>,
    /// One more than the page shows.
    most: usize,
    held: BTreeMap<String, Held>,
    /// Whether there is such a folder.
    exists: bool,
    /// Entries that are not shown anywhere: their names are no paths, or they are links and the like.
    left_out: u64,
}

impl Level {
    pub(super) fn new(folder: Option<&FilePath>, after: Option<String>, most: usize) -> Self {
        Self {
            folder: folder.map_or_else(String::new, |folder| format!("{folder}/")),
            after,
            most,
            held: BTreeMap::new(),
            exists: folder.is_none(),
            left_out: 0,
        }
    }

    /// Takes an entry in, wherever in the archive it lies.
    pub(super) fn add(&mut self, name: &[u8], held: Held) {
        let root = matches!(name, b"." | b"./");
        let Some(path) = path(name) else {
            self.left_out += u64::from(!root);
            return;
        };
        let Some(rest) = path.as_str().strip_prefix(&self.folder) else {
            let itself = self.folder.strip_suffix('/') == Some(path.as_str());
            self.exists |= itself && held == Held::Folder;
            return;
        };
        self.exists = true;
        let (marker, held) = match rest.split_once('/') {
            Some((folder, _)) => (format!("{folder}/"), Held::Folder),
            None if held == Held::Folder => (format!("{rest}/"), held),
            None => (rest.to_owned(), held),
        };
        if self.after.as_ref().is_some_and(|after| marker <= *after) {
            return;
        }
        self.held.insert(marker, held);
        if self.held.len() > self.most {
            self.held.pop_last();
        }
    }

    /// Counts an entry that is not shown.
    pub(super) fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// The page, by markers (a folder's name ends in a slash), and how many entries are not shown; `None` where there is
    /// no such folder.
    pub(super) fn finish(self) -> Option<(Vec<(String, Held)>, u64)> {
        self.exists.then(|| (self.held.into_iter().collect(), self.left_out))
    }
}
