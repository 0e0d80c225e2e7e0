//! Reading: what it leaves alone, what it shows, and what it must not tell.

use super::gate::FakeGate;
use super::world::World;
use super::{Asks, Backend, PROJECT, Sample, Specimen};
use crate::handler::FormatHandler;
use granary_storage::catalog::StorageFormat;
use granary_storage::name::Reference;
use http::Method;

async fn gets<S: Specimen>(world: &World) -> Vec<Sample> {
    let mut samples = S::samples(world, PROJECT, "plain").await;
    samples.retain(|sample| sample.request.method == Method::GET);
    samples
}

async fn content<S: Specimen>(world: &World) -> Vec<Sample> {
    let mut samples = gets::<S>(world).await;
    samples.retain(|sample| sample.asks.content().is_some());
    assert!(!samples.is_empty(), "no sample is marked as content that policies decide about");
    samples
}

pub(super) async fn a_read_changes_nothing<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let samples = gets::<S>(&world).await;
    let before = world.snapshot().await;
    for sample in &samples {
        world.open().ask(&sample.request).await.expect(sample.status);
        world.open().ask(&sample.request.as_head()).await.expect(sample.status);
    }
    assert_eq!(world.snapshot().await, before);
}

pub(super) async fn head_is_answered_as_get_is<S: Specimen>(backend: Backend) {
    let (full, empty) = (World::new(backend), World::new(backend));
    for sample in gets::<S>(&full).await {
        let plain = &sample.request;
        let (_, query) = plain.split();
        let with = |parameter: &str| plain.at(format!("{}{}{parameter}", plain.target, if query.is_empty() { '?' } else { '&' }));
        let beyond = plain.clone().header("range", "bytes=1000000-");
        for (world, asked, of) in [
            (&full, plain.clone(), plain.clone()),
            // Nothing is there: 404, or an empty list.
            (&empty, plain.clone(), plain.clone()),
            (&full, with("n=x"), with("n=x")),
            (&full, with("n=0"), with("n=0")),
            (
                &full,
                plain.clone().header("if-none-match", "*"),
                plain.clone().header("if-none-match", "*"),
            ),
            // Ranges are defined for GET alone (RFC 9110 §14.2), so this one is as good as none.
            (&full, beyond, plain.clone()),
        ] {
            let door = world.open();
            let (head, get) = (door.ask(&asked.as_head()).await, door.ask(&of).await);
            assert_eq!(head.status, get.status, "{}", sample.what);
            assert_eq!(head.headers, get.headers, "{}", sample.what);
            assert_eq!(head.len, get.len, "{}", sample.what);
            assert!(!head.streamed, "bytes were opened for a HEAD of: {}", sample.what);
        }
    }
}

pub(super) async fn a_read_may_depend_on_what_is_there<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    let mut tagged = 0;
    for sample in gets::<S>(&world).await {
        let door = world.open();
        let read = door.ask(&sample.request).await;
        let Some(etag) = read.header("etag") else { continue };
        tagged += 1;
        for (header, value, status) in [
            ("if-match", etag.to_owned(), sample.status),
            ("if-match", "*".to_owned(), sample.status),
            ("if-match", format!("\"a, b\", {etag}"), sample.status),
            ("if-match", "\"another\"".to_owned(), 412),
            ("if-match", "\"*\"".to_owned(), 412),
            // Compared strongly (RFC 9110 §13.1.1), and the other one weakly.
            ("if-match", format!("W/{etag}"), 412),
            ("if-none-match", format!("W/{etag}"), 304),
            ("if-none-match", "\"*\"".to_owned(), sample.status),
        ] {
            let asked = sample.request.clone().header(header, value);
            let answer = door.ask(&asked).await;
            assert_eq!(answer.status, status, "{}, {header}: {answer:?}", sample.what);
            assert_eq!(S::message(&answer).is_some(), status == 412, "{}: {answer:?}", sample.what);
            assert_eq!(door.ask(&asked.as_head()).await.status, status, "{}", sample.what);
        }
    }
    // The API of ChartMuseum has no entity tags.
    let untagged = <S::Format as FormatHandler>::MOUNT == "/api/helm";
    assert_eq!(tagged == 0, untagged, "{tagged} samples have an entity tag");
}

pub(super) async fn a_warning_of_the_policy_reaches_the_client<S: Specimen>(backend: Backend) {
    let world = World::new(backend);
    for sample in content::<S>(&world).await {
        let door = world.behind(FakeGate::warning(&["two \"high\" findings\r\nX: y – ü\\", "not signed"]));
        let warned = door.ask(&sample.request).await.expect(sample.status);
        let expected = [r#"299 - "two \"high\" findings??X: y ? ?\\""#, "299 - \"not signed\""];
        assert_eq!(warned.all("warning"), expected, "{}", sample.what);
        let repository = sample.asks.content().unwrap();
        let admitted = door.gate.admitted.lock().unwrap().clone();
        let [(asked_of, digest)] = &admitted[..] else {
            panic!("admission was asked about {admitted:?}")
        };
        assert_eq!(asked_of, repository);
        let catalog = &world.stores.catalog;
        let repository = catalog.repository(repository.parse().unwrap()).await.unwrap().unwrap();
        let known = match repository.format {
            StorageFormat::Oci => catalog.manifest(repository.id, Reference::Digest(*digest)).await.unwrap().is_some(),
            StorageFormat::Generic => catalog.blob(repository.id, *digest).await.unwrap().is_some(),
        };
        assert!(known, "admission was asked about {digest}, which is not in {}", repository.name);
    }
}

pub(super) async fn blocked_content_shows_its_headers_and_nothing_else<S: Specimen>(backend: Backend) {
    const SENTENCE: &str = "blocked by the policy 'no critical findings': CVE-2026-1";
    let world = World::new(backend);
    let samples = content::<S>(&world).await;
    for sample in &samples {
        let (open, blocked) = (world.open(), world.behind(FakeGate::blocking(SENTENCE)));
        let refusal = blocked.ask(&sample.request).await.expect(403);
        assert_eq!(S::message(&refusal).as_deref(), Some(SENTENCE), "{}", sample.what);
        // Who may read may know that it is there, and what it is.
        let head = sample.request.as_head();
        assert_eq!(blocked.ask(&head).await, open.ask(&head).await, "{}", sample.what);
        // A client that holds an older copy is told nothing but that the content is blocked.
        let unchanged = sample.request.clone().header("if-none-match", "*");
        blocked.ask(&unchanged).await.expect(403);
    }
}

pub(super) async fn what_is_only_elsewhere_is_nowhere<S: Specimen>(backend: Backend) {
    // In one world project acme holds the content; in the other one nobody does. Project other is the same in both.
    let (held, absent) = (World::new(backend), World::new(backend));
    let samples = S::samples(&held, PROJECT, "secret").await;
    for world in [&held, &absent] {
        S::samples(world, "other", "plain").await;
    }
    let mut compared = 0;
    for sample in &samples {
        for place in ["/other/", "/nobody/"] {
            let target = sample.request.target.replacen(&format!("/{PROJECT}/"), place, 1);
            if target == sample.request.target
                || !matches!(
                    sample.asks,
                    Asks::Read(_) | Asks::Content(_) | Asks::ContentUnder(..) | Asks::Session(_)
                )
            {
                continue;
            }
            for request in [sample.request.at(&target), sample.request.at(&target).as_head()] {
                let (there, nowhere) = (held.open().ask(&request).await, absent.open().ask(&request).await);
                // The two worlds were not filled at the same moment.
                assert_eq!(there.without_times(), nowhere.without_times(), "{} at {place}", sample.what);
                compared += usize::from(there.status == 404);
            }
        }
    }
    assert!(compared > 0, "everything was found: this test has gone blind");
}
