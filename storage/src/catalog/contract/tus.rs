//! What uploads by tus are to become: whose they are, and how long they are known.

use super::*;
use crate::error::{ErrorKind, What};
use crate::label::Labels;

on_each_database!(
    an_upload_is_known_to_its_principal_alone_and_outlives_its_session,
    what_is_over_is_swept_and_a_live_session_keeps_its_own,
    a_length_is_said_once,
    the_blob_and_the_file_of_an_upload_are_remembered_with_their_commits,
    parts_are_joined_once_and_by_who_has_all_of_them,
    parts_of_what_is_forgotten_are_free_again,
    two_who_join_the_same_parts_at_once_get_the_same_upload,
);

/// What a session is to become, in a story that does not care.
pub(super) fn of(session: &Upload) -> NewTusUpload {
    NewTusUpload {
        id: session.id,
        repository: session.repository,
        principal: session.principal.clone(),
        length: Some(7),
        metadata: "filename YQ==".into(),
        is_part: false,
        expires_at: session.expires_at,
    }
}

async fn open(catalog: &Catalog, repository: RepositoryId, expires_at: Millis) -> Upload {
    let made = catalog.create_upload(repository, somebody(), Algorithm::Sha256, expires_at, 1000);
    let session = made.await.unwrap();
    catalog.add_tus_upload(of(&session)).await.unwrap();
    session
}

async fn an_upload_is_known_to_its_principal_alone_and_outlives_its_session(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let session = open(catalog, api, FUTURE).await;
    let find = async |by: &str| catalog.tus_upload(session.id, by.into()).await.unwrap();
    let found = find(&session.principal).await.unwrap();
    assert_eq!(
        (found.repository, found.repository_name, found.length),
        (api, name("acme/api"), Some(7))
    );
    assert_eq!((found.metadata.as_str(), found.done), ("filename YQ==", false));
    assert_eq!(find("mallory").await, None);
    catalog.delete_upload(session.id, api, session.principal.clone()).await.unwrap();
    catalog.finish_tus_upload(session.id).await.unwrap();
    assert!(find(&session.principal).await.unwrap().done);
    catalog.forget_tus_upload(session.id).await.unwrap();
    assert_eq!(find(&session.principal).await, None);
}

async fn what_is_over_is_swept_and_a_live_session_keeps_its_own(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let (over, live, young) = (
        open(catalog, api, 10).await,
        open(catalog, api, 10).await,
        open(catalog, api, 99).await,
    );
    for session in [&over, &young] {
        catalog.delete_upload(session.id, api, somebody()).await.unwrap();
    }
    assert_eq!(
        catalog.sweep_tus_uploads(10).await.unwrap(),
        0,
        "the moment of expiry is not past yet"
    );
    assert_eq!(catalog.sweep_tus_uploads(50).await.unwrap(), 1);
    assert_eq!(catalog.tus_upload(over.id, somebody()).await.unwrap(), None);
    for session in [&live, &young] {
        assert!(catalog.tus_upload(session.id, somebody()).await.unwrap().is_some());
    }
}

async fn a_length_is_said_once(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let session = catalog
        .create_upload(api, somebody(), Algorithm::Sha256, FUTURE, 1000)
        .await
        .unwrap();
    let new = NewTusUpload {
        length: None,
        ..of(&session)
    };
    catalog.add_tus_upload(new).await.unwrap();
    let length = async || catalog.tus_upload(session.id, somebody()).await.unwrap().unwrap().length;
    assert_eq!(length().await, None);
    assert!(catalog.settle_tus_length(session.id, 5).await.unwrap());
    assert!(!catalog.settle_tus_length(session.id, 6).await.unwrap());
    assert_eq!(length().await, Some(5));
}

async fn the_blob_and_the_file_of_an_upload_are_remembered_with_their_commits(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let session = open(catalog, api, 10).await;
    let blob = NewBlob {
        session: Some(session.id),
        remembered: true,
        lease_until: FUTURE,
        ..new_blob(api, "abcdefg").await
    };
    let digest = *blob.blob.digest();
    catalog.commit_blob(blob.clone()).await.unwrap();
    let find = async || catalog.tus_upload(session.id, somebody()).await.unwrap().unwrap();
    assert_eq!((find().await.digest, find().await.done), (Some(digest), false));
    // It outlives its own time, since the file may still have to be made.
    assert_eq!(catalog.sweep_tus_uploads(50).await.unwrap(), 0);
    let file = |may_overwrite| NewFile {
        repository: api,
        path: "1.0/a".parse().unwrap(),
        digest,
        size: 7,
        media_type: None,
        condition: Condition::Always,
        labels: Labels::default(),
        may_overwrite,
        mends: false,
        source: None,
        by: somebody(),
    };
    let refused = NewFile {
        condition: Condition::OneOf(vec![]),
        ..file(false)
    };
    catalog.land_tus_file(session.id, Arc::new(refused)).await.unwrap_err();
    assert!(!find().await.done, "a refusal is not the end");
    let stored = catalog.land_tus_file(session.id, Arc::new(file(false))).await.unwrap();
    assert_eq!(stored, Some(FileStored::Created));
    assert!(find().await.done);
    // Once: what stands there afterwards may be somebody else's.
    assert_eq!(catalog.land_tus_file(session.id, Arc::new(file(true))).await.unwrap(), None);
    catalog.forget_tus_upload(session.id).await.unwrap();
    let cancelled = catalog.land_tus_file(session.id, Arc::new(file(true))).await.unwrap_err();
    assert_eq!((cancelled.kind(), cancelled.what()), (ErrorKind::NotFound, What::Upload));
}

/// A part with so many bytes of seven.
async fn part(catalog: &Catalog, repository: RepositoryId, held: u64) -> UploadId {
    let made = catalog.create_upload(repository, somebody(), Algorithm::Sha256, FUTURE, 1000);
    let session = made.await.unwrap();
    let new = NewTusUpload {
        is_part: true,
        metadata: String::new(),
        ..of(&session)
    };
    catalog.add_tus_upload(new).await.unwrap();
    assert!(catalog.advance_upload(session.id, session.epoch, held, FUTURE).await.unwrap());
    session.id
}

fn whole(repository: RepositoryId, parts: &[UploadId]) -> Arc<NewTusWhole> {
    let urls: Vec<String> = parts.iter().map(|id| format!("/uploads/{id}")).collect();
    Arc::new(NewTusWhole {
        id: UploadId::random(),
        repository,
        principal: somebody(),
        parts: parts.to_vec(),
        concat: format!("final;{}", urls.join(" ")),
        metadata: "filename YQ==".into(),
        max_length: 100,
        max_open: 1000,
        expires_at: FUTURE,
    })
}

async fn parts_are_joined_once_and_by_who_has_all_of_them(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let (one, two, unfinished) = (
        part(catalog, api, 7).await,
        part(catalog, api, 7).await,
        part(catalog, api, 3).await,
    );
    let no_part = open(catalog, api, FUTURE).await.id;
    let new = |parts: &[UploadId]| NewTusWhole::clone(&whole(api, parts));
    let gone = (ErrorKind::NotFound, What::Upload);
    let precondition = (ErrorKind::PreconditionFailed, What::Upload);
    for (refused, why) in [
        (new(&[one, UploadId::random()]), gone),
        (
            NewTusWhole {
                principal: "mallory".into(),
                ..new(&[one, two])
            },
            gone,
        ),
        (
            NewTusWhole {
                repository: web,
                ..new(&[one, two])
            },
            gone,
        ),
        (new(&[one, unfinished]), precondition),
        (new(&[one, no_part]), (ErrorKind::Invalid, What::Upload)),
        (
            NewTusWhole {
                max_length: 13,
                ..new(&[one, two])
            },
            (ErrorKind::TooLarge, What::File),
        ),
        (
            NewTusWhole {
                max_open: 4,
                ..new(&[one, two])
            },
            (ErrorKind::TooManyRequests, What::Upload),
        ),
    ] {
        let error = catalog.join_tus_uploads(Arc::new(refused)).await.unwrap_err();
        assert_eq!((error.kind(), error.what()), why, "{error}");
    }
    let joined = catalog.join_tus_uploads(whole(api, &[two, one])).await.unwrap();
    assert_eq!(joined.length, Some(14));
    assert!(joined.is_joined() && !joined.is_part());
    assert_eq!(catalog.tus_parts(joined.id).await.unwrap(), [(two, 7), (one, 7)]);
    assert!(
        catalog.upload(joined.id, api, somebody()).await.unwrap().is_some(),
        "it has a session"
    );
    // Who did not hear the answer gets the same one; who wants something else does not.
    assert_eq!(catalog.join_tus_uploads(whole(api, &[two, one])).await.unwrap(), joined);
    for other in [
        new(&[one, two]),
        new(&[one]),
        NewTusWhole {
            metadata: "filename Yg==".into(),
            ..new(&[two, one])
        },
    ] {
        let error = catalog.join_tus_uploads(Arc::new(other)).await.unwrap_err();
        assert_eq!((error.kind(), error.what()), precondition);
    }
}

async fn parts_of_what_is_forgotten_are_free_again(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let parts = [part(catalog, api, 7).await, part(catalog, api, 7).await];
    let joined = catalog.join_tus_uploads(whole(api, &parts)).await.unwrap();
    catalog.forget_tus_upload(joined.id).await.unwrap();
    let again = catalog.join_tus_uploads(whole(api, &[parts[1]])).await.unwrap();
    assert_ne!(again.id, joined.id);
    assert_eq!(catalog.tus_parts(again.id).await.unwrap(), [(parts[1], 7)]);
}

async fn two_who_join_the_same_parts_at_once_get_the_same_upload(database: &TestDatabase) {
    let (catalog, other) = (&database.catalog, database.open_again());
    let api = repository(catalog, "acme/api").await;
    for _ in 0..10 {
        let parts = [part(catalog, api, 7).await, part(catalog, api, 7).await];
        let (one, two) = tokio::join!(
            catalog.join_tus_uploads(whole(api, &parts)),
            other.join_tus_uploads(whole(api, &parts))
        );
        assert_eq!(one.unwrap(), two.unwrap());
    }
}
