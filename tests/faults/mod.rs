//! Faults of what stands below: disks that are full, read-only or wrong, files that run out, clocks that jump.

mod clock;
mod corruption;
mod descriptors;
mod disk;

use crate::support::{Ran, TestServer};

/// What the check of the whole store says, and that its exit code is this.
#[track_caller]
fn fsck(server: &TestServer, code: i32) -> String {
    let Ran { stdout, .. } = server.cli(&["fsck"]).expect(code);
    stdout
}
