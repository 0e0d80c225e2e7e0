//! An open file of the simulated disk.

use super::media::Id;
use super::{LeftOut, Op, SimulatedDisk, State};
use crate::blob::fs::disk::{DiskFile, Stat};
use crate::blob::fs::lock;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// An open file; it has its file though that has lost its name.
pub(super) struct SimulatedFile {
    disk: SimulatedDisk,
    id: Id,
    /// The same for no two open files.
    number: u64,
    at: usize,
}

impl SimulatedFile {
    pub(super) fn new(disk: SimulatedDisk, id: Id, number: u64) -> Self {
        Self { disk, id, number, at: 0 }
    }
}

impl DiskFile for SimulatedFile {
    fn lock(&self) -> io::Result<()> {
        self.disk
            .operate(Op::Lock, |state| match *state.locks.entry(self.id).or_insert(self.number) {
                holder if holder == self.number => Ok(()),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            })
    }

    fn stat(&self) -> io::Result<Stat> {
        self.disk.operate(Op::Stat, |state| state.stat(self.id))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.operate(Op::SetLen, |state| {
            let modified = state.media.tick();
            let file = state.media.file_mut(self.id)?;
            file.set_len(usize::try_from(length).unwrap());
            file.modified = modified;
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let sync = |state: &mut State| {
            match state.faults.left_out {
                Some(LeftOut::DataSync) => {}
                Some(LeftOut::SyncBeforeRename) => state.put_off.push(self.id),
                _ => state.media.file_mut(self.id)?.sync(),
            }
            Ok(())
        };
        self.disk
            .operate_or(Op::SyncData, sync, |state| state.media.file_mut(self.id).unwrap().fail_sync())
    }

    fn renew(&self) -> io::Result<()> {
        self.disk.operate(Op::Renew, |state| {
            state.media.file_mut(self.id)?.modified = state.media.tick();
            Ok(())
        })
    }
}

impl Read for SimulatedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (id, at) = (self.id, self.at);
        let read = self.disk.operate(Op::Read, |state| {
            let ready = state.media.file(id)?.now.len().saturating_sub(at).min(buffer.len());
            let ready = state.moved(ready);
            buffer[..ready].copy_from_slice(&state.media.file(id)?.now[at..at + ready]);
            Ok(ready)
        })?;
        self.at += read;
        Ok(read)
    }
}

impl Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (id, at) = (self.id, self.at);
        let whole = |state: &mut State| {
            let now = state.moved(bytes.len());
            state.write(id, at, &bytes[..now])
        };
        // A write that fails may have written something.
        let part = |state: &mut State| {
            let now = state.chance.below(bytes.len() + 1);
            state.write(id, at, &bytes[..now]).unwrap();
        };
        let written = self.disk.operate_or(Op::Write, whole, part)?;
        self.at += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SimulatedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.at = usize::try_from(at).unwrap();
        Ok(at)
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        let mut state = lock(&self.disk.0);
        if state.locks.get(&self.id) == Some(&self.number) {
            state.locks.remove(&self.id);
        }
    }
}
