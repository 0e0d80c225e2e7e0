//! A day in the life of a repository: everything that changes it, once. Each step says what is
//! different afterwards, so that after a failure all of it must be, or nothing.

use super::pieces::{Parts, Pieces};
use super::upload::Upload;
use super::{expect_clean, expect_clean_after_crash};
use crate::support::{Answer, Client, Image, TestServer, bytes, sha256};
use std::collections::BTreeMap;

/// Times that a step is tried, at most.
const TRIES: usize = 4;

/// What is read at each path; `None` for what is not there.
type World = BTreeMap<String, Option<Vec<u8>>>;

/// Asks for the change; `None` when no answer comes.
type Act = dyn FnMut(&Client) -> Option<Answer>;

struct Step {
    what: &'static str,
    act: Box<Act>,
    /// How success is said. The first time by the first of them.
    done: &'static [u16],
    changes: World,
}

/// How the day is disturbed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// The process dies.
    Death,
    /// A step fails.
    Fault,
}

/// The day.
pub(super) struct Day {
    repository: String,
    world: World,
    steps: Vec<Step>,
}

impl Day {
    /// Prepares it, in repositories that nothing else uses.
    #[track_caller]
    pub(super) fn begin(admin: &Client, number: u64) -> Self {
        let (repository, base) = (format!("acme/day-{number}"), format!("acme/base-{number}"));
        let mut day = Self {
            repository: repository.clone(),
            world: World::new(),
            steps: Vec::new(),
        };
        let image = |name: &str| Image::new(&format!("{name} {number}"));
        let (old, new, doomed, fresh) = (image("old"), image("new"), image("doomed"), image("fresh"));
        for (image, tags) in [
            (&old, &["moving", "leaving"][..]),
            (&doomed, &["doomed", "doomed-too"]),
            (&new, &[]),
        ] {
            admin.push_parts(&repository, image);
            admin.push_manifest(&repository, &image.manifest);
            for tag in tags {
                admin.put_manifest(&repository, tag, &image.manifest).expect(201);
            }
            let references = tags.iter().map(|tag| (*tag).to_owned()).chain([image.digest()]);
            for reference in references {
                day.world.insert(day.manifest(&reference), Some(image.manifest.bytes.clone()));
            }
            day.world.insert(day.blob(&image.layer), Some(image.layer.clone()));
        }
        let (loose, mounted) = (bytes(number * 10 + 1, 500), bytes(number * 10 + 2, 500));
        admin.push_blob(&repository, &loose);
        admin.push_blob(&base, &mounted);
        day.world.insert(day.blob(&loose), Some(loose.clone()));
        admin.push_parts(&repository, &fresh);

        day.uploads(number);
        day.step("a mount", &[201], vec![(day.blob(&mounted), Some(mounted.clone()))], {
            let path = format!("/v2/{repository}/blobs/uploads/?mount={}&from={base}", sha256(&mounted));
            move |client| client.call("POST", &path).attempt_body(b"")
        });
        day.put("a manifest and a tag", "fresh", &fresh, &["fresh", &fresh.digest()]);
        day.put("a tag that moves", "moving", &new, &["moving"]);
        day.delete("a tag's deletion", day.manifest("leaving"), &[]);
        let tags = [day.manifest("doomed"), day.manifest("doomed-too")];
        day.delete("a manifest's deletion", day.manifest(&doomed.digest()), &tags);
        day.delete("a blob's deletion", day.blob(&loose), &[]);
        day.files(number, admin);
        day.pieces(number, admin);
        day
    }

    /// A file that is new, one that takes another's place, one that gets a label, and one that goes.
    fn files(&mut self, number: u64, admin: &Client) {
        let path = |name: &str| format!("/generic/acme/files-{number}/1.0/{name}");
        let content = |which: u64| bytes(number * 10 + which, 30_000);
        for (name, which) in [("moving", 6), ("leaving", 7), ("labelled", 10)] {
            admin.call("PUT", &path(name)).body(&content(which)).expect(201);
            self.world.insert(path(name), Some(content(which)));
        }
        for (what, name, which, done) in [
            ("a new file", "fresh", 8, &[201, 200][..]),
            ("a file in another's place", "moving", 9, &[200]),
        ] {
            let (path, file) = (path(name), content(which));
            self.step(what, done, vec![(path.clone(), Some(file.clone()))], move |client| {
                client.call("PUT", &path).attempt_body(&file)
            });
        }
        let labelled = path("labelled");
        let labels = format!("{labelled}?labels");
        let before = admin.get(&labels).expect(200).text();
        let after = before.replace(r#""labels":{}"#, r#""labels":{"stage":"released"}"#);
        assert_ne!(before, after);
        self.world.insert(labels.clone(), Some(before.into_bytes()));
        self.step("a label", &[200], vec![(labels, Some(after.into_bytes()))], move |client| {
            client.call("PATCH", &labelled).attempt_body(br#"{"labels":{"stage":"released"}}"#)
        });
        let leaving = path("leaving");
        self.step("a file's deletion", &[204, 404], vec![(leaving.clone(), None)], move |client| {
            client.call("DELETE", &leaving).attempt()
        });
    }

    /// A file that comes in pieces, and one that is joined of parts.
    fn pieces(&mut self, number: u64, admin: &Client) {
        let root = format!("/generic/acme/files-{number}/");
        let path = |name: &str| format!("{root}2.0/{name}");
        let file = |which: u64| bytes(number * 10 + which, 30_000);
        let mut pieces = Pieces::new(&root, "2.0/pieces", file(11), 20_000);
        let changes = vec![(path("pieces"), Some(file(11)))];
        self.step("a file in pieces", &[204, 200], changes, move |client| pieces.go_on(client));
        let whole = file(12);
        let parts = Parts::send(admin, &root, "2.0/joined", &[&whole[..12_000], &whole[12_000..]]);
        let changes = vec![(path("joined"), Some(whole))];
        self.step("a file of parts", &[201], changes, move |client| parts.join(client));
    }

    /// The three ways to upload a blob, and one that is there already.
    fn uploads(&mut self, number: u64) {
        let blob = |which: u64| bytes(number * 10 + which, 40_000);
        let uploads = format!("/v2/{}/blobs/uploads/", self.repository);
        for (what, blob) in [("a blob", blob(3)), ("a blob that is there", blob(3))] {
            let (uploads, pushed) = (uploads.clone(), blob.clone());
            self.step(what, &[201], vec![(self.blob(&blob), Some(blob))], move |client| {
                let opened = client.call("POST", &uploads).attempt_body(b"")?;
                if opened.status != 202 {
                    return Some(opened);
                }
                let path = client.session_at(opened.header("location")).finish_path(&sha256(&pushed));
                client.call("PUT", &path).attempt_body(&pushed)
            });
        }
        let whole = blob(4);
        self.step(
            "a blob in one request",
            &[201],
            vec![(self.blob(&whole), Some(whole.clone()))],
            move |client| {
                let path = format!("{uploads}?digest={}", sha256(&whole));
                client.call("POST", &path).attempt_body(&whole)
            },
        );
        let pieces = blob(5);
        let mut upload = Upload::new(&self.repository, pieces.clone(), 25_000);
        self.step(
            "a blob in chunks",
            &[201],
            vec![(self.blob(&pieces), Some(pieces))],
            move |client| upload.go_on(client),
        );
    }

    fn put(&mut self, what: &'static str, tag: &'static str, image: &Image, seen_at: &[&str]) {
        let changes = seen_at
            .iter()
            .map(|reference| (self.manifest(reference), Some(image.manifest.bytes.clone())));
        let (manifest, path) = (image.manifest.clone(), self.manifest(tag));
        self.step(what, &[201], changes.collect(), move |client| {
            let request = client.call("PUT", &path).header("Content-Type", &manifest.media_type);
            request.attempt_body(&manifest.bytes)
        });
    }

    fn delete(&mut self, what: &'static str, path: String, with_it: &[String]) {
        let changes = with_it.iter().chain([&path]).map(|path| (path.clone(), None)).collect();
        // Not there any more, where the first request was carried out unheard.
        self.step(what, &[202, 404], changes, move |client| client.call("DELETE", &path).attempt());
    }

    fn step(
        &mut self,
        what: &'static str,
        done: &'static [u16],
        changes: Vec<(String, Option<Vec<u8>>)>,
        act: impl FnMut(&Client) -> Option<Answer> + 'static,
    ) {
        for (path, _) in &changes {
            self.world.entry(path.clone()).or_default();
        }
        let (act, changes) = (Box::new(act), changes.into_iter().collect());
        self.steps.push(Step { what, act, done, changes });
    }

    fn blob(&self, blob: &[u8]) -> String {
        format!("/v2/{}/blobs/{}", self.repository, sha256(blob))
    }

    fn manifest(&self, reference: &str) -> String {
        format!("/v2/{}/manifests/{reference}", self.repository)
    }

    /// Lives it on a server in that trouble. Whatever is not acknowledged is tried again. Whether anything happened.
    #[track_caller]
    pub(super) fn live(mut self, server: &TestServer, trouble: Trouble) -> bool {
        let admin = server.admin().meets_faults();
        let mut disturbed = false;
        for mut step in std::mem::take(&mut self.steps) {
            let mut after = self.world.clone();
            after.extend(step.changes);
            let mut tries = 0;
            loop {
                tries += 1;
                assert!(tries <= TRIES, "{} does not succeed", step.what);
                let answer = (step.act)(&admin);
                if let Some(answer) = answer.filter(|answer| answer.status < 500) {
                    let wanted = if tries == 1 { &step.done[..1] } else { step.done };
                    assert!(wanted.contains(&answer.status), "{}: {answer}", step.what);
                    break;
                } else if trouble == Trouble::Death {
                    assert_eq!(server.ended(), -1, "{}: not by a signal", step.what);
                    expect_clean_after_crash(server, &[]);
                    server.start_again();
                }
                disturbed = true;
                let found = self.look(&admin);
                assert!(found == self.world || found == after, "{} is there by half", step.what);
            }
            self.world = after;
        }
        assert!(self.look(&admin) == self.world, "something acknowledged is not so");
        expect_clean(server);
        disturbed
    }

    /// What is there now.
    #[track_caller]
    fn look(&self, client: &Client) -> World {
        let read = self.world.keys().map(|path| {
            let answer = client.get(path);
            (path.clone(), (answer.status != 404).then(|| answer.expect(200).body))
        });
        let world: World = read.collect();
        // The list of tags agrees with the tags.
        let answer = client.get(&format!("/v2/{}/tags/list", self.repository)).expect(200);
        let listed: Vec<String> = serde_json::from_value(answer.json()["tags"].clone()).unwrap();
        let manifests = self.manifest("");
        let there = world.iter().filter(|(_, body)| body.is_some()).map(|(path, _)| path);
        let tags = there.filter_map(|path| path.strip_prefix(&manifests).filter(|name| !name.contains(':')));
        assert!(tags.eq(&listed), "{listed:?}");
        world
    }
}
