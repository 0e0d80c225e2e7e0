//! Into stored archives: `x.zip!/` is a listing of what an archive holds, `x.zip!/docs/a.txt` one file of it. Nothing is
//! ever unpacked to a disk; what an archive says of itself is believed as far as the limits go.
//!
//! A name in an archive leads nowhere: it is only compared with the one that is asked for. Of two entries of one name the
//! last one counts, as it does for who unpacks the archive. An archive in an archive is a file like any other.

mod entry;
#[cfg(test)]
mod hostile_tests;
mod level;
mod list;
mod tar;
#[cfg(test)]
mod tests;
mod unpack;
mod zip;

pub(super) use entry::read;
#[cfg(fuzzing)]
pub(super) use list::fuzz;
pub(super) use list::list;
#[cfg(test)]
pub(super) use tests::sample_zip;

use granary_storage::name::FilePath;
use granary_storage::{Error, ErrorKind, What};

/// What stands between an archive's path and that of a file in it.
const INTO: &str = "!/";

/// An archive that is looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// The archive.
    pub archive: FilePath,
    /// What of it: a file, or a folder; all of it for `None`.
    pub inside: Option<FilePath>,
    kind: Kind,
}

/// How an archive is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    TarGz,
}

/// The archives that are known, by the ends of their names in lower case.
const KINDS: [(&str, Kind); 14] = [
    (".zip", Kind::Zip),
    (".jar", Kind::Zip),
    (".war", Kind::Zip),
    (".ear", Kind::Zip),
    (".aar", Kind::Zip),
    (".whl", Kind::Zip),
    (".nupkg", Kind::Zip),
    (".vsix", Kind::Zip),
    (".ipa", Kind::Zip),
    (".tar", Kind::Tar),
    (".gem", Kind::Tar),
    (".tar.gz", Kind::TarGz),
    (".tgz", Kind::TarGz),
    (".crate", Kind::TarGz),
];

impl Kind {
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        KINDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, kind)| *kind)
    }
}

/// Whether a file of this name can be looked into.
pub(super) fn is_archive(name: &str) -> bool {
    Kind::of(name).is_some()
}

impl Within {
    /// The archive into which a path leads, and what of it; a folder's path ends in a slash here.
    pub(super) fn of(path: &str) -> Option<Self> {
        let named = |(at, _)| {
            let archive = &path[..at];
            Some((archive, Kind::of(archive)?, &path[at + INTO.len()..]))
        };
        let (archive, kind, inside) = path.match_indices(INTO).find_map(named)?;
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        Some(Self {
            archive: archive.parse().ok()?,
            inside: match inside {
                "" => None,
                inside => Some(inside.parse().ok()?),
            },
            kind,
        })
    }
}

/// Why an archive, or an entry of it, is not read.
fn fault(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Conflict, What::File, why)
}

fn no_entry() -> Error {
    Error::not_found(What::File, "there is no such file in the archive")
}
