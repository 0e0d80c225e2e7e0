//! What a folder of an archive holds.

use super::level::{Held, Level};
use super::unpack::{Coding, Unpacked};
use super::{Kind, Within, fault, no_entry, tar, zip};
use crate::dispatch::Granted;
use crate::generic::files::check_sound;
use crate::generic::listing::{Entry, Shown};
use crate::generic::op::Op;
use crate::paging::Page;
use granary_storage::catalog::FileView;
use granary_storage::{Error, Result, Stores};

/// `GET` and `HEAD …/<archive>!/` and `…/<archive>!/<folder>/`: what is shown of it.
pub(in crate::generic) async fn list(stores: &Stores, granted: &Granted<Op>, within: &Within, page: &Page) -> Result<Shown> {
    let archive = granted.file().ok_or_else(no_entry)?;
    check_sound(archive)?;
    let level = Level::new(within.inside.as_ref(), page.after.clone(), page.limit + 1);
    let reader = granted.principal().account;
    let _visit = stores.archives.begin(reader)?;
    let level = match within.kind {
        Kind::Zip => {
            let place = zip::find(stores, &archive.blob).await?;
            let _under_way = stores.downloads.begin(reader, place.directory.end - place.directory.start)?;
            let directory = zip::directory(stores, &archive.blob, &place).await?;
            let most = stores.limits.archive_entries;
            let turn = stores.archive_work.clone().acquire_owned().await.map_err(Error::internal)?;
            let work = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                of_zip(&directory, most, level)
            });
            work.await.map_err(Error::internal)??
        }
        Kind::Tar | Kind::TarGz => {
            let _under_way = stores.downloads.begin(reader, 1)?;
            of_tar(stores, archive, within.kind, level).await?
        }
    };
    let (held, left_out) = level
        .finish()
        .ok_or_else(|| Error::not_found(granary_storage::What::File, "there is no such folder in the archive"))?;
    let entries = held.into_iter().map(|(marker, held)| match held {
        Held::Folder => Entry::folder(marker),
        Held::File {
            size,
            updated_at,
            encrypted,
        } => Entry::packed(marker, size, updated_at, encrypted),
    });
    let inside = within.inside.as_ref().map_or_else(String::new, |folder| format!("{folder}/"));
    Ok(Shown {
        path: format!("{}!/{inside}", within.archive),
        entries: entries.collect(),
        left_out: Some(left_out),
    })
}

fn of_zip(directory: &[u8], most: usize, mut level: Level) -> Result<Level> {
    for entry in zip::entries(directory, most) {
        let entry = entry?;
        let held = match entry.is_folder() {
            true => Held::Folder,
            false => Held::File {
                size: entry.size,
                updated_at: entry.updated_at,
                encrypted: entry.encrypted,
            },
        };
        level.add(&entry.name, held);
    }
    Ok(level)
}

async fn of_tar(stores: &Stores, archive: &FileView, kind: Kind, mut level: Level) -> Result<Level> {
    let coding = coding(kind)?;
    let archive = Unpacked::open(stores, &archive.blob, 0..archive.blob.size, coding).await?;
    let mut entries = tar::Entries::of(archive, stores);
    while let Some(entry) = entries.next().await? {
        match entry.kind {
            tar::Kind::Other => level.leave_out(),
            tar::Kind::Folder => level.add(&entry.name, Held::Folder),
            tar::Kind::File => level.add(
                &entry.name,
                Held::File {
                    size: entry.size,
                    updated_at: entry.updated_at,
                    encrypted: false,
                },
            ),
        }
    }
    Ok(level)
}

/// How a tar of this kind is packed.
pub(super) fn coding(kind: Kind) -> Result<Coding> {
    match kind {
        Kind::Tar => Ok(Coding::Plain),
        Kind::TarGz => Ok(Coding::Gzip),
        Kind::Zip => Err(fault("a ZIP is no tar")),
    }
}

/// The end of a ZIP and its directory, of whatever bytes.
#[cfg(fuzzing)]
pub(in crate::generic) fn fuzz(bytes: &[u8]) {
    if let Ok(place) = zip::place(bytes, 0) {
        assert!(place.directory.end <= bytes.len() as u64 && place.before <= place.directory.start);
        let directory = &bytes[place.directory.start as usize..place.directory.end as usize];
        let level = Level::new(None, None, 10);
        if let Ok(level) = of_zip(directory, 1000, level) {
            let (held, _) = level.finish().unwrap_or_default();
            assert!(held.len() <= 10);
            for (marker, _) in held {
                let name = marker.strip_suffix('/').unwrap_or(&marker);
                assert!(!matches!(name, "" | "." | "..") && !name.contains(['/', '\\']));
            }
        }
    }
}
