//! What uploads by tus are to become: whose they are, and how long they are known.

use super::*;

on_each_database!(
    an_upload_is_known_to_its_principal_alone_and_outlives_its_session,
    what_is_over_is_swept_and_a_live_session_keeps_its_own,
);

/// What a session is to become, in a story that does not care.
pub(super) fn of(session: &Upload) -> NewTusUpload {
    NewTusUpload {
        id: session.id,
        repository: session.repository,
        principal: session.principal.clone(),
        length: 7,
        metadata: "filename YQ==".into(),
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
    assert_eq!((found.repository, found.repository_name, found.length), (api, name("acme/api"), 7));
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
