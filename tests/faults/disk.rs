//! A disk without room, and one that cannot be written to: a small file system of the test's own.

use super::fsck;
use crate::support::{Answer, Client, Image, TestServer, Wire, bytes, sha256, wait_for};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A file system in memory, gone with this.
struct Disk {
    folder: TempDir,
}

impl Disk {
    /// One of so many MiB; nothing where the tests may not mount.
    fn of(mib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "granary-test"], folder.path());
        if !mounted {
            println!("skipped: mounting a file system needs root");
            return None;
        }
        Some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it, all but so many bytes.
    fn fill(&self, leave: usize) -> Filling {
        let path = self.path().join("filling");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [64 * 1024, 4096] {
            let piece = vec![0; size];
            while file.write_all(&piece).is_ok() {}
        }
        let taken = file.metadata().unwrap().len();
        file.set_len(taken - leave as u64).unwrap();
        Filling(path)
    }

    fn remount(&self, option: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{option}")])
            .arg(self.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A server that did not end keeps the file system until it does.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}

/// What takes the room, until it is dropped.
struct Filling(PathBuf);

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn mount(arguments: &[&str], folder: &Path) -> bool {
    let done = Command::new("mount").args(arguments).arg(folder).output();
    done.is_ok_and(|done| done.status.success())
}

/// A server whose data are on `disk`.
fn server_on(disk: &Disk, reserve: &str) -> TestServer {
    server_with(disk, &[("storage.reserve", reserve)])
}

/// The same with these settings.
fn server_with(disk: &Disk, settings: &[(&str, &str)]) -> TestServer {
    let data = disk.path().join("data");
    let server = TestServer::in_folder(data.to_str().unwrap(), settings);
    server.expects_errors();
    server
}

/// Sends a body to a server that may refuse it before it has all of it.
fn send(client: &Client, line: &str, body: &[u8]) -> Answer {
    let mut wire = Wire::connect(client);
    wire.request(line, &[&format!("Content-Length: {}", body.len())]);
    let _ = wire.try_send(body);
    wire.answer()
}

#[track_caller]
fn full(answer: &Answer) {
    let sentence = answer.refused(507, "STORAGE_FULL");
    assert!(sentence.contains("no room"), "{sentence}");
}

/// Everything of an image can be read.
#[track_caller]
fn reads(client: &Client, repository: &str, tag: &str, image: &Image) {
    let manifest = client.get(&format!("/v2/{repository}/manifests/{tag}")).expect(200);
    assert_eq!(manifest.body, image.manifest.bytes);
    let layer = client.get(&format!("/v2/{repository}/blobs/{}", sha256(&image.layer))).expect(200);
    assert_eq!(layer.body, image.layer);
}

#[test]
fn below_the_reserve_pushes_are_refused_and_deletes_go_on() {
    let Some(disk) = Disk::of(32) else { return };
    let server = server_on(&disk, "8MiB");
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "from before");
    let loose = admin.push_blob("acme/app", b"to be deleted");
    let admin = admin.meets_faults();

    let filling = disk.fill(6 << 20);
    let (late, digest) = (bytes(1, 3000), sha256(&bytes(1, 3000)));
    let line = format!("POST /v2/acme/app/blobs/uploads/?digest={digest}");
    full(&send(&admin, &line, &late));
    full(&admin.post("/v2/acme/app/blobs/uploads/"));

    reads(&admin, "acme/app", "1.0", &image);
    admin.delete(&format!("/v2/acme/app/blobs/{loose}")).expect(202);
    admin.delete("/v2/acme/app/manifests/1.0").expect(202);
    assert_eq!(admin.blob_status("acme/app", &digest), 404);

    drop(filling);
    admin.push("acme/app", "2.0", "from afterwards");
    admin.push_blob("acme/app", &late);
    fsck(&server, 0);
}

#[test]
fn a_disk_that_fills_up_during_an_upload_says_so_and_the_upload_goes_on_once_there_is_room() {
    let Some(disk) = Disk::of(24) else { return };
    let server = server_on(&disk, "0");
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "from before");
    let admin = admin.meets_faults();
    let (large, digest) = (bytes(1, 4 << 20), sha256(&bytes(1, 4 << 20)));
    let session = admin.open_session("acme/app");
    session.append(&large[..300_000]).expect(202);

    let filling = disk.fill(600_000);
    full(&send(&admin, &format!("PATCH {}", session.location), &large[300_000..]));
    let whole = format!("POST /v2/acme/app/blobs/uploads/?digest={digest}");
    full(&send(&admin, &whole, &large));
    reads(&admin, "acme/app", "1.0", &image);
    assert_eq!(admin.blob_status("acme/app", &digest), 404);
    assert!(server.blob_files(&digest).is_empty(), "a part of it lies where whole blobs lie");

    drop(filling);
    let offset = session.offset();
    assert!((300_000..large.len()).contains(&offset), "what was acknowledged is there: {offset}");
    session.chunk(offset, &large[offset..]).expect(202);
    session.finish(b"", &digest).expect(201);
    assert_eq!(admin.get(&format!("/v2/acme/app/blobs/{digest}")).expect(200).body, large);
    fsck(&server, 0);
}

#[test]
fn a_disk_that_is_full_when_a_push_is_committed_says_so_and_the_same_push_succeeds_with_room() {
    let Some(disk) = Disk::of(24) else { return };
    let server = server_on(&disk, "0");
    if server.database().is_some() {
        println!("skipped: the bytes are there, and the rows go to PostgreSQL, which has room");
        return;
    }
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "from before");
    let late = Image::new("in time, but without room");
    admin.push_blob("acme/app", &late.config);
    let admin = admin.meets_faults();
    let session = admin.open_session("acme/app");
    session.append(&late.layer).expect(202);

    let filling = disk.fill(0);
    full(&session.finish(b"", &sha256(&late.layer)));
    reads(&admin, "acme/app", "1.0", &image);
    assert_eq!(admin.blob_status("acme/app", &sha256(&late.layer)), 404);

    drop(filling);
    admin.push_image("acme/app", "2.0", &late);
    reads(&admin, "acme/app", "2.0", &late);
    fsck(&server, 0);
    server.restart();
    reads(&admin, "acme/app", "2.0", &late);
    fsck(&server, 0);
}

#[test]
fn a_database_without_room_says_so_and_everything_can_still_be_read() {
    let Some(disk) = Disk::of(16) else { return };
    let data = disk.path().join("data");
    let blobs = tempfile::tempdir().unwrap();
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(blobs.path(), data.join("store")).unwrap();
    let server = server_on(&disk, "0");
    if server.database().is_some() {
        println!("skipped: the database is PostgreSQL's, and its room is not ours to take");
        return;
    }
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "from before");
    let late = Image::new("without room for its rows");
    let session = admin.open_session("acme/app");
    admin.push_blob("acme/app", &late.config);
    let admin = admin.meets_faults();

    let filling = disk.fill(0);
    full(&send(
        &admin,
        &format!("PUT {}", session.finish_path(&sha256(&late.layer))),
        &late.layer,
    ));
    full(&admin.put_manifest("acme/app", "2.0", &image.manifest));
    full(&admin.delete("/v2/acme/app/manifests/1.0"));
    reads(&admin, "acme/app", "1.0", &image);
    admin.get("/v2/acme/app/tags/list").expect(200);
    admin
        .with_token("repository:acme/app:pull")
        .get("/v2/acme/app/tags/list")
        .expect(200);
    assert_eq!(admin.tag_digest("acme/app", "2.0"), None);

    drop(filling);
    admin.push_image("acme/app", "2.0", &late);
    admin.delete("/v2/acme/app/manifests/1.0").expect(202);
    reads(&admin, "acme/app", "2.0", &late);
    fsck(&server, 0);
    server.restart();
    reads(&admin, "acme/app", "2.0", &late);
    assert_eq!(admin.tag_digest("acme/app", "1.0"), None);
    fsck(&server, 0);
}

#[test]
fn a_full_disk_is_emptied_by_deletes_since_the_database_has_ballast_to_give_up() {
    let Some(disk) = Disk::of(48) else { return };
    let settings = [("storage.reserve", "8MiB"), ("storage.ballast", "4MiB"), ("sweep.interval", "1s")];
    let server = server_with(&disk, &settings);
    let ballast = server.data().join("ballast");
    let there = || ballast.metadata().ok().filter(|found| found.len() == 4 << 20);
    if server.database().is_some() {
        assert!(there().is_none(), "PostgreSQL's disk is not ours");
        return;
    }
    let found = wait_for("the ballast", there);
    assert!(found.blocks() * 512 >= 4 << 20, "it takes no room");
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "from before");
    admin.push("acme/app", "2.0", "also from before");
    let loose = admin.push_blob("acme/app", b"to be deleted");
    let admin = admin.meets_faults();
    // Nobody's fault but that of whatever else is on this disk.
    let filling = disk.fill(0);

    admin.delete("/v2/acme/app/manifests/2.0").expect(202);

    assert!(there().is_none());
    server.wait_for_log("the ballast is given up");
    admin.delete(&format!("/v2/acme/app/manifests/{}", image.digest())).expect(202);
    admin.delete(&format!("/v2/acme/app/blobs/{loose}")).expect(202);
    for tag in ["1.0", "2.0"] {
        assert_eq!(admin.tag_digest("acme/app", tag), None);
    }
    // What was given up is for deletes.
    full(&admin.post("/v2/acme/app/blobs/uploads/"));
    fsck(&server, 0);

    drop(filling);
    wait_for("the ballast's return", there);
    admin.push("acme/app", "3.0", "from afterwards");
    fsck(&server, 0);
    server.restart();
    assert!(there().is_some());
    assert_eq!(admin.tag_digest("acme/app", "1.0"), None);
}

#[test]
fn a_disk_that_turns_read_only_refuses_pushes_in_order_and_takes_them_again_later() {
    let Some(disk) = Disk::of(64) else { return };
    let server = server_on(&disk, "0");
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "from before");
    let admin = admin.meets_faults();
    // The database's log is open for writing and would keep the file system as it is: only a stopped server lets go.
    server.stop();
    disk.remount("ro");

    let refused = server.cli(&["user", "list"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.to_lowercase().contains("read-only"), "{refused:?}");

    disk.remount("rw");
    server.start_again();
    reads(&admin, "acme/app", "1.0", &image);
    admin.push("acme/app", "2.0", "from afterwards");
    fsck(&server, 0);
}

#[test]
fn a_store_that_turns_read_only_under_a_running_server_is_read_and_takes_pushes_again_later() {
    let Some(disk) = Disk::of(64) else { return };
    let server = server_on(&disk, "0");
    let admin = server.admin();
    let image = admin.push("acme/app", "1.0", "from before");
    let loose = admin.push_blob("acme/app", b"to be deleted");
    let admin = admin.meets_faults();
    let (late, digest) = (bytes(1, 3000), sha256(&bytes(1, 3000)));
    let session = admin.open_session("acme/app");
    session.append(&late[..1000]).expect(202);
    let offset = session.offset();

    let locked = Locked::over(server.data().join("store"));
    let line = format!("POST /v2/acme/app/blobs/uploads/?digest={digest}");
    for answer in [
        send(&admin, &line, &late),
        session.append(&late[1000..]),
        session.finish(&late[1000..], &digest),
    ] {
        let sentence = answer.refused(503, "UNAVAILABLE");
        assert!(sentence.contains("read-only"), "{sentence}");
    }
    reads(&admin, "acme/app", "1.0", &image);
    admin.delete(&format!("/v2/acme/app/blobs/{loose}")).expect(202);
    assert_eq!(admin.blob_status("acme/app", &digest), 404);

    drop(locked);
    assert_eq!(session.offset(), offset);
    session.append(&late[offset..]).expect(202);
    session.finish(b"", &digest).expect(201);
    admin.push("acme/app", "2.0", "from afterwards");
    fsck(&server, 0);
}

/// A folder that cannot be written to, until this is dropped.
struct Locked(PathBuf);

impl Locked {
    fn over(folder: PathBuf) -> Self {
        let bound = mount(&["--bind", folder.to_str().unwrap()], &folder);
        assert!(bound && mount(&["-o", "remount,bind,ro"], &folder));
        Self(folder)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}
