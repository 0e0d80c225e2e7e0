//! Upload sessions: who owns one, who may write, when it ends.

use super::*;
use crate::error::{ErrorKind, What};
use futures_util::future::join_all;
use std::collections::HashSet;

on_each_database!(
    a_session_belongs_to_its_repository_and_principal,
    each_claim_fences_off_the_writers_before_it,
    a_commit_closes_its_session,
    proved_bytes_count_though_another_request_has_claimed_their_session,
    a_session_that_was_closed_cannot_commit,
    a_session_is_closed_only_by_the_request_that_holds_it,
    of_many_claims_each_gets_an_epoch_of_its_own,
    expired_sessions_are_taken_once_and_touched_ones_stay,
    a_principal_has_so_many_sessions_and_no_more,
    many_openings_at_once_keep_to_the_limit,
    of_many_sessions_those_that_are_open_are_known,
);

async fn open(catalog: &Catalog, repository: RepositoryId, expires_at: Millis) -> Upload {
    let made = catalog.create_upload(repository, somebody(), Algorithm::Sha512, expires_at, 1000);
    made.await.unwrap()
}

async fn find(catalog: &Catalog, upload: &Upload) -> Option<Upload> {
    catalog.upload(upload.id, upload.repository, somebody()).await.unwrap()
}

async fn claim(catalog: &Catalog, upload: &Upload) -> Upload {
    let claimed = catalog.claim_upload(upload.id, upload.repository, somebody(), FUTURE);
    claimed.await.unwrap().unwrap()
}

async fn a_session_belongs_to_its_repository_and_principal(database: &TestDatabase) {
    let catalog = &database.catalog;
    let (api, web) = (repository(catalog, "acme/api").await, repository(catalog, "acme/web").await);
    let made = open(catalog, api, FUTURE).await;
    assert_eq!((made.offset, made.epoch, made.algorithm), (0, 0, Algorithm::Sha512));
    assert_eq!(find(catalog, &made).await, Some(made.clone()));
    for (repository, principal) in [(web, "alice"), (api, "mallory")] {
        let by: Arc<str> = principal.into();
        assert_eq!(catalog.upload(made.id, repository, by.clone()).await.unwrap(), None);
        assert_eq!(catalog.claim_upload(made.id, repository, by.clone(), FUTURE).await.unwrap(), None);
        assert!(!catalog.delete_upload(made.id, repository, by).await.unwrap());
    }
    assert_eq!(find(catalog, &made).await, Some(made.clone()), "strangers changed nothing");
    assert!(catalog.delete_upload(made.id, api, somebody()).await.unwrap());
    assert!(!catalog.delete_upload(made.id, api, somebody()).await.unwrap());
    assert_eq!(find(catalog, &made).await, None);
}

async fn each_claim_fences_off_the_writers_before_it(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let made = open(catalog, api, FUTURE - 9).await;
    let first = claim(catalog, &made).await;
    assert_eq!((first.epoch, first.expires_at), (1, FUTURE));
    assert!(catalog.advance_upload(made.id, first.epoch, 10, FUTURE + 1).await.unwrap());
    let second = claim(catalog, &made).await;
    assert_eq!((second.epoch, second.offset), (2, 10));
    assert!(!catalog.advance_upload(made.id, first.epoch, 99, FUTURE).await.unwrap());
    assert_eq!(find(catalog, &made).await.unwrap().offset, 10);
    assert!(catalog.advance_upload(made.id, second.epoch, 20, FUTURE + 2).await.unwrap());
    let now = find(catalog, &made).await.unwrap();
    assert_eq!((now.offset, now.epoch, now.expires_at), (20, 2, FUTURE + 2));
    // Who has it goes on with it; who had it takes it from nobody.
    assert_eq!(catalog.reclaim_upload(made.id, first.epoch, FUTURE).await.unwrap(), None);
    assert_eq!(find(catalog, &made).await.unwrap(), now);
    let third = catalog.reclaim_upload(made.id, second.epoch, FUTURE + 3).await.unwrap().unwrap();
    assert_eq!((third.offset, third.epoch, third.expires_at), (20, 3, FUTURE + 3));
    assert!(!catalog.advance_upload(made.id, second.epoch, 99, FUTURE).await.unwrap());
}

async fn a_commit_closes_its_session(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let session = claim(catalog, &open(catalog, api, FUTURE).await).await;
    let mut new = new_blob(api, "layer").await;
    new.session = Some(session.id);
    assert_eq!(catalog.commit_blob(new).await.unwrap(), Committed::New);
    assert_eq!(find(catalog, &session).await, None);
    assert!(!catalog.advance_upload(session.id, session.epoch, 1, FUTURE).await.unwrap());
}

async fn proved_bytes_count_though_another_request_has_claimed_their_session(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let old = claim(catalog, &open(catalog, api, FUTURE).await).await;
    let newer = claim(catalog, &old).await;
    let mut new = new_blob(api, "layer").await;
    new.session = Some(old.id);
    assert_eq!(catalog.commit_blob(new).await.unwrap(), Committed::New);
    assert_eq!(find(catalog, &newer).await, None);
    assert!(!catalog.advance_upload(newer.id, newer.epoch, 1, FUTURE).await.unwrap());
}

async fn a_session_is_closed_only_by_the_request_that_holds_it(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let old = claim(catalog, &open(catalog, api, FUTURE).await).await;
    let newer = claim(catalog, &old).await;
    assert!(!catalog.close_upload(old.id, old.epoch).await.unwrap());
    assert_eq!(find(catalog, &newer).await, Some(newer.clone()));
    assert!(catalog.close_upload(newer.id, newer.epoch).await.unwrap());
    assert_eq!(find(catalog, &newer).await, None);
}

async fn a_session_that_was_closed_cannot_commit(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let session = claim(catalog, &open(catalog, api, FUTURE).await).await;
    assert!(catalog.delete_upload(session.id, api, session.principal.clone()).await.unwrap());
    let events = database.count("event");
    let mut new = new_blob(api, "layer").await;
    new.session = Some(session.id);
    let refused = catalog.commit_blob(new).await;
    assert_eq!(refusal(refused), (ErrorKind::Conflict, What::Upload));
    assert_eq!(catalog.blob(api, digest("layer")).await.unwrap(), None);
    assert_eq!((database.count("blob"), database.count("event")), (0, events));
}

async fn of_many_claims_each_gets_an_epoch_of_its_own(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let made = open(catalog, api, FUTURE).await;
    let claims = join_all((0..MANY).map(|_| claim(catalog, &made))).await;
    let epochs: HashSet<i64> = claims.iter().map(|upload| upload.epoch).collect();
    assert_eq!(epochs, (1..=64).collect::<HashSet<i64>>());
    let mut writers = 0;
    for epoch in epochs {
        writers += i32::from(catalog.advance_upload(made.id, epoch, 1, FUTURE).await.unwrap());
    }
    assert_eq!(writers, 1, "only the newest may write");
}

async fn expired_sessions_are_taken_once_and_touched_ones_stay(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let oldest = open(catalog, api, 10).await;
    let older = open(catalog, api, 20).await;
    let touched = open(catalog, api, 15).await;
    let young = open(catalog, api, 31).await;
    claim(catalog, &touched).await;
    assert_eq!(catalog.take_expired_uploads(30, 1).await.unwrap(), [oldest.id]);
    assert_eq!(catalog.take_expired_uploads(30, 100).await.unwrap(), [older.id]);
    assert_eq!(catalog.take_expired_uploads(30, 100).await.unwrap(), []);
    assert_eq!(find(catalog, &oldest).await, None);
    assert!(find(catalog, &touched).await.is_some());
    assert!(find(catalog, &young).await.is_some());
    assert_eq!(
        catalog.take_expired_uploads(31, 100).await.unwrap(),
        [],
        "the moment of expiry is not past yet"
    );
}

async fn a_principal_has_so_many_sessions_and_no_more(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let open = async |who: &str, limit| catalog.create_upload(api, who.into(), Algorithm::Sha256, FUTURE, limit).await;
    let first = open("alice", 2).await.unwrap();
    open("alice", 2).await.unwrap();
    assert_eq!(refusal(open("alice", 2).await), (ErrorKind::TooManyRequests, What::Upload));
    open("bob", 2).await.unwrap();
    catalog.delete_upload(first.id, api, "alice".into()).await.unwrap();
    open("alice", 2).await.unwrap();
    assert_eq!(refusal(open("carol", 0).await), (ErrorKind::TooManyRequests, What::Upload));
    assert_eq!(database.count("upload"), 3);
}

async fn many_openings_at_once_keep_to_the_limit(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let opening = |_| catalog.create_upload(api, somebody(), Algorithm::Sha256, FUTURE, 10);
    let opened = join_all((0..MANY).map(opening)).await;
    assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 10);
    assert_eq!(database.count("upload"), 10);
    for refused in opened.into_iter().filter(Result::is_err) {
        assert_eq!(refusal(refused), (ErrorKind::TooManyRequests, What::Upload));
    }
}

async fn of_many_sessions_those_that_are_open_are_known(database: &TestDatabase) {
    let catalog = &database.catalog;
    let api = repository(catalog, "acme/api").await;
    let opened = open(catalog, api, FUTURE).await.id;
    // More than one statement holds, with the open one in the last of them.
    let mut asked: Vec<UploadId> = (0..1200).map(|_| UploadId::random()).collect();
    asked.push(opened);
    assert_eq!(catalog.uploads_exist(asked).await.unwrap(), HashSet::from([opened]));
}
