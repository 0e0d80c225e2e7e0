//! Sessions: who may go on with one, from where, and when it ends.

use super::*;
use crate::sweep::{Swept, sweep};
use crate::test_support::repository;
use futures_util::future::join_all;
use std::time::Duration;

fn bob() -> Arc<str> {
    "bob".into()
}

#[tokio::test]
async fn alice_pushes_a_blob_in_three_requests() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("one ")).await;
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 4);
        writing.write(bytes("two ")).await.unwrap();
        assert_eq!(writing.park().await.unwrap(), 8);
        let session = status(&store, id).await.unwrap();
        assert_eq!(
            (session.offset, session.repository, session.principal),
            (8, store.repository, alice())
        );
        assert_eq!(view(&store, b"one two ").await, None);
        let before = clock::now();
        let mut writing = open(&store, id).await;
        writing.write(bytes("three")).await.unwrap();
        assert_eq!(writing.finish(&Digest::sha256(b"one two three")).await.unwrap(), 13);
        assert_only_blob(&store, b"one two three").await;
        assert_eq!(refusal(status(&store, id).await), NO_SUCH_UPLOAD);
        let lease = view(&store, b"one two three").await.unwrap().lease_until;
        assert!(lease >= before + clock::millis(Limits::default().blob_lease));
    }
}

#[tokio::test]
async fn a_session_goes_on_from_what_was_acknowledged_when_the_client_hangs_up() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("head ")).await;
        for lost in [bytes("lost"), large(1)] {
            let mut writing = open(&store, id).await;
            writing.write(lost).await.unwrap();
            drop(writing);
            assert_eq!(status(&store, id).await.unwrap().offset, 5);
        }
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 5);
        writing.write(bytes("tail")).await.unwrap();
        writing.finish(&Digest::sha256(b"head tail")).await.unwrap();
        assert_only_blob(&store, b"head tail").await;
    }
}

#[tokio::test]
async fn who_asks_where_a_session_stands_stops_who_writes_it_and_waits_for_who_ends_it() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        let evict = async |id| uploads.evict(id, store.repository, alice()).await;
        let id = begun(&store).await;
        assert_eq!(evict(id).await.unwrap().offset, 0);
        let id = parked(&store, &bytes("head ")).await;
        for lost in [bytes("lost"), large(1)] {
            let mut stale = open(&store, id).await;
            stale.write(lost).await.unwrap();
            let at_once = join_all((0..4).map(|_| evict(id))).await;
            assert!(at_once.into_iter().all(|session| session.unwrap().offset == 5));
            assert_eq!(refusal(stale.park().await), TAKEN_OVER);
        }
        let mut writing = open(&store, id).await;
        writing.write(bytes("tail")).await.unwrap();
        let running = uploads.bring_to_end(id);
        let asking = evict(id);
        tokio::pin!(asking);
        let soon = Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, asking.as_mut()).await.is_err(), "it is being ended");
        writing.park().await.unwrap();
        drop(running);
        assert_eq!(asking.await.unwrap().offset, 9);
        let other = uploads.evict(id, store.repository, bob()).await;
        assert_eq!(refusal(other), NO_SUCH_UPLOAD);
        // Whose bytes are gone is told so, and starts again.
        store.stores.blobs.discard(id).await.unwrap();
        assert_eq!(refusal(evict(id).await), NO_SUCH_UPLOAD);
    }
}

#[tokio::test]
async fn a_stream_that_is_acknowledged_on_its_way_goes_on_unless_another_came() {
    for store in TestStore::all(&Limits::default()).await {
        let id = begun(&store).await;
        let mut writing = open(&store, id).await;
        writing.write(bytes("head ")).await.unwrap();
        let mut writing = writing.acknowledge().await.unwrap();
        assert_eq!(status(&store, id).await.unwrap().offset, 5);
        writing.write(bytes("tail")).await.unwrap();
        store.stores.uploads.evict(id, store.repository, alice()).await.unwrap();
        assert_eq!(refusal(writing.acknowledge().await.map(drop)), TAKEN_OVER);
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 5);
        writing.write(bytes("end")).await.unwrap();
        let digest = Digest::sha256(b"head end");
        assert_eq!(writing.finish(&digest).await.unwrap(), 8);
        // What is no session has nothing to acknowledge.
        let mut single = store
            .stores
            .uploads
            .single(store.repository, alice(), Algorithm::Sha256)
            .await
            .unwrap();
        single.write(bytes("head ")).await.unwrap();
        let mut single = single.acknowledge().await.unwrap();
        single.write(bytes("end")).await.unwrap();
        assert_eq!(single.finish(&digest).await.unwrap(), 8);
    }
}

#[tokio::test]
async fn who_claims_a_session_waits_for_who_is_claiming_it_and_for_who_ends_it() {
    let waits = async |claim: &mut (dyn Future<Output = ()> + Unpin)| tokio::time::timeout(Duration::from_millis(50), claim).await.is_err();
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        let (id, another) = (begun(&store).await, begun(&store).await);
        let writing = open(&store, id).await;
        let turn = uploads.turns.take(id).await;
        let mut opening = Box::pin(async { drop(open(&store, id).await) });
        let mut asking = Box::pin(async { drop(uploads.evict(id, store.repository, alice()).await.unwrap()) });
        let mut going_on = Box::pin(async { drop(writing.acknowledge().await) });
        assert!(waits(&mut opening).await && waits(&mut asking).await && waits(&mut going_on).await);
        // Others do not.
        open(&store, another).await.park().await.unwrap();
        // Who began to end it while others waited has it until the end.
        let running = uploads.bring_to_end(id);
        drop(turn);
        assert!(waits(&mut opening).await && waits(&mut asking).await);
        going_on.await;
        drop(running);
        opening.await;
        asking.await;
    }
}

#[tokio::test]
async fn files_are_joined_in_turn() {
    let limits = Limits {
        upload_joins: 1,
        ..Limits::default()
    };
    for store in TestStore::all(&limits).await {
        let uploads = &store.stores.uploads;
        let (id, part) = (begun(&store).await, parked(&store, &large(1)).await);
        let another = uploads.joins.acquire().await.unwrap();
        let parts = vec![(part, 2 * MIB as u64)];
        let join = uploads.join(id, store.repository, alice(), parts, Promised::default());
        tokio::pin!(join);
        assert!(tokio::time::timeout(Duration::from_millis(50), join.as_mut()).await.is_err());
        drop(another);
        assert_eq!(join.await.unwrap().unwrap().digest, Digest::sha256(&large(1)));
    }
}

#[tokio::test]
async fn a_request_that_gives_up_keeps_what_was_acknowledged_before_it() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("head ")).await;
        for lost in [bytes("lost"), large(1)] {
            let mut writing = open(&store, id).await;
            writing.write(lost).await.unwrap();
            writing.give_up().await.unwrap();
            assert_eq!(status(&store, id).await.unwrap().offset, 5);
        }
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 5);
        writing.write(bytes("tail")).await.unwrap();
        writing.finish(&Digest::sha256(b"head tail")).await.unwrap();
        assert_only_blob(&store, b"head tail").await;
    }
}

#[tokio::test]
async fn a_session_whose_first_request_brought_nothing_goes_on() {
    for store in TestStore::all(&Limits::default()).await {
        let id = begun(&store).await;
        assert_eq!(open(&store, id).await.park().await.unwrap(), 0);
        drop(open(&store, id).await);
        let mut writing = open(&store, id).await;
        assert_eq!(writing.offset(), 0);
        writing.write(bytes("late")).await.unwrap();
        writing.finish(&Digest::sha256(b"late")).await.unwrap();
        assert_only_blob(&store, b"late").await;
    }
}

#[tokio::test]
async fn a_session_survives_a_restart_of_everything() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &large(1)).await;
        // In the middle of the next request the process dies.
        let mut writing = open(&store, id).await;
        writing.write(large(2)).await.unwrap();
        drop(writing);
        let TestStore { stores, .. } = &store;
        let restarted = store.another_process();
        assert_eq!(
            restarted.uploads.status(id, store.repository, alice()).await.unwrap().offset,
            2 * MIB as u64
        );
        let mut writing = loop {
            match restarted.uploads.open(id, store.repository, alice()).await {
                Ok(writing) => break writing,
                // Only here does the old process live on to finish its last write.
                Err(error) => assert_eq!((error.kind(), error.what()), TAKEN_OVER),
            }
        };
        assert_eq!(writing.offset(), 2 * MIB as u64);
        writing.write(bytes("tail")).await.unwrap();
        let content = [&large(1)[..], b"tail"].concat();
        writing.finish(&Digest::sha256(&content)).await.unwrap();
        assert_only_blob(&store, &content).await;
        assert_eq!(refusal(stores.uploads.status(id, store.repository, alice()).await), NO_SUCH_UPLOAD);
    }
}

#[tokio::test]
async fn a_newer_request_takes_the_session_over_and_the_older_one_changes_nothing() {
    #[derive(Debug)]
    enum Ends {
        Park,
        Finish,
        FinishWrong,
        GiveUp,
        Drop,
    }
    for ends in [Ends::Park, Ends::Finish, Ends::FinishWrong, Ends::GiveUp, Ends::Drop] {
        for store in TestStore::all(&Limits::default()).await {
            let id = parked(&store, &bytes("head ")).await;
            let mut older = open(&store, id).await;
            older.write(bytes("of the older")).await.unwrap();
            let mut newer = open(&store, id).await;
            assert_eq!(newer.offset(), 5);
            newer.write(bytes("of the ")).await.unwrap();
            let refused = match ends {
                Ends::Park => Some(older.park().await.map(drop)),
                Ends::Finish => Some(older.finish(&Digest::sha256(b"head of the older")).await.map(drop)),
                Ends::FinishWrong => Some(older.finish(&Digest::sha256(b"something else")).await.map(drop)),
                Ends::GiveUp => {
                    let _ = older.give_up().await;
                    None
                }
                Ends::Drop => {
                    drop(older);
                    None
                }
            };
            if let Some(refused) = refused {
                assert_eq!(refusal(refused), TAKEN_OVER, "{ends:?}");
            }
            // The session is still there, and the newer one's.
            assert_eq!(status(&store, id).await.unwrap().offset, 5, "{ends:?}");
            newer.write(bytes("newer")).await.unwrap();
            assert_eq!(newer.park().await.unwrap(), 17, "{ends:?}");
            let last = open(&store, id).await;
            last.finish(&Digest::sha256(b"head of the newer")).await.unwrap();
            assert_only_blob(&store, b"head of the newer").await;
        }
    }
}

#[tokio::test]
async fn two_processes_never_mix_their_bytes_in_one_session() {
    for finishes in [false, true] {
        for store in TestStore::all(&Limits::default()).await {
            let id = parked(&store, &bytes("head ")).await;
            let mut older = open(&store, id).await;
            older.write(bytes("of the older")).await.unwrap();
            // The other process has the session from now on, though the file is still in the first one's hands.
            let other = store.another_process();
            assert_eq!(refusal(other.uploads.open(id, store.repository, alice()).await), TAKEN_OVER);
            if finishes {
                // Proved bytes count, whoever asked meanwhile.
                older.finish(&Digest::sha256(b"head of the older")).await.unwrap();
                let newer = other.uploads.open(id, store.repository, alice()).await;
                assert_eq!(refusal(newer), (ErrorKind::NotFound, What::Upload));
                assert_only_blob(&store, b"head of the older").await;
                continue;
            }
            assert_eq!(refusal(older.park().await), TAKEN_OVER);
            let mut newer = other.uploads.open(id, store.repository, alice()).await.unwrap();
            assert_eq!(newer.offset(), 5);
            newer.write(bytes("of the newer")).await.unwrap();
            newer.finish(&Digest::sha256(b"head of the newer")).await.unwrap();
            assert_only_blob(&store, b"head of the newer").await;
        }
    }
}

#[tokio::test]
async fn of_many_requests_on_one_session_just_one_completes_it() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("head ")).await;
        let content = |number: usize| format!("head of request {number} {}", "x".repeat(300 * 1024));
        let attempts = (0..32).map(|number| {
            let (store, content) = (&store, content(number));
            async move {
                let mut writing = store.stores.uploads.open(id, store.repository, alice()).await?;
                writing.write(Bytes::copy_from_slice(&content.as_bytes()[5..])).await?;
                writing.finish(&Digest::sha256(content.as_bytes())).await
            }
        });
        let ended = join_all(attempts).await;
        let winners: Vec<usize> = (0..32).filter(|number| ended[*number].is_ok()).collect();
        for error in ended.into_iter().filter_map(Result::err) {
            // Overtaken, too late, or from the start while the others' bytes were gone already.
            let told = (error.kind(), error.what());
            assert!([TAKEN_OVER, NO_SUCH_UPLOAD, WRONG_DIGEST].contains(&told), "{error:?}");
        }
        assert!(winners.len() <= 1, "{winners:?}");
        if let [winner] = winners[..] {
            assert_only_blob(&store, content(winner).as_bytes()).await;
        }
    }
}

#[tokio::test]
async fn a_session_that_nobody_touched_expires_with_its_bytes() {
    for store in TestStore::all(&Limits::default()).await {
        let id = parked(&store, &bytes("forgotten")).await;
        store.database.execute("UPDATE upload SET expires_at = 1");
        let swept = sweep(&store.stores, Duration::from_secs(3600)).await.unwrap();
        assert_eq!(
            swept,
            Swept {
                expired_uploads: 1,
                ..Swept::default()
            }
        );
        assert_eq!(refusal(status(&store, id).await), NO_SUCH_UPLOAD);
        let uploads = &store.stores.uploads;
        assert_eq!(refusal(uploads.open(id, store.repository, alice()).await), NO_SUCH_UPLOAD);
        assert_eq!(refusal(uploads.cancel(id, store.repository, alice()).await), NO_SUCH_UPLOAD);
        assert_nothing_stored(&store).await;
    }
}

#[tokio::test]
async fn every_request_on_a_session_puts_its_expiry_off() {
    for store in TestStore::all(&Limits::default()).await {
        let id = begun(&store).await;
        let put_off = clock::now() + clock::millis(Limits::default().upload_expiry);
        assert!(status(&store, id).await.unwrap().expires_at + 60_000 > put_off);
        store.database.execute("UPDATE upload SET expires_at = 1");
        let writing = open(&store, id).await;
        assert!(status(&store, id).await.unwrap().expires_at >= put_off);
        store.database.execute("UPDATE upload SET expires_at = 1");
        writing.park().await.unwrap();
        assert!(status(&store, id).await.unwrap().expires_at >= put_off);
    }
}

#[tokio::test]
async fn a_session_that_expires_under_a_writer_leaves_nothing() {
    for finishes in [true, false] {
        for store in TestStore::all(&Limits::default()).await {
            let id = parked(&store, &bytes("head ")).await;
            let mut writing = open(&store, id).await;
            writing.write(bytes("tail")).await.unwrap();
            store.database.execute("UPDATE upload SET expires_at = 1");
            sweep(&store.stores, Duration::from_secs(3600)).await.unwrap();
            let ended = if finishes {
                writing.finish(&Digest::sha256(b"head tail")).await
            } else {
                writing.park().await
            };
            assert_eq!(refusal(ended), TAKEN_OVER);
            assert_nothing_stored(&store).await;
        }
    }
}

#[tokio::test]
async fn a_principal_with_too_many_sessions_is_told_to_finish_some() {
    let limits = Limits {
        uploads_per_principal: 2,
        ..Limits::default()
    };
    for store in TestStore::all(&limits).await {
        let uploads = &store.stores.uploads;
        let other = repository(&store.stores, "acme/web").await;
        let first = begun(&store).await;
        uploads.begin(other, alice(), Algorithm::Sha256).await.unwrap();
        for repository in [store.repository, other] {
            let refused = uploads.begin(repository, alice(), Algorithm::Sha256).await;
            assert_eq!(refusal(refused), (ErrorKind::TooManyRequests, What::Upload));
        }
        assert_eq!(store.database.count("upload"), 2);
        // Somebody else's business is not hers.
        uploads.begin(store.repository, bob(), Algorithm::Sha256).await.unwrap();
        // Neither does it stop a push of one request.
        push(&store.stores, store.repository, &bytes("small")).await.unwrap();
        uploads.cancel(first, store.repository, alice()).await.unwrap();
        begun(&store).await;
    }
}

#[tokio::test]
async fn a_session_is_of_one_principal_and_one_repository_and_nobody_else_learns_of_it() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        let other = repository(&store.stores, "acme/web").await;
        let id = parked(&store, &bytes("hers")).await;
        let before = status(&store, id).await.unwrap();
        for (id, repository, by) in [
            (id, store.repository, bob()),
            (id, other, alice()),
            (id, other, bob()),
            (UploadId::random(), store.repository, alice()),
        ] {
            assert_eq!(refusal(uploads.status(id, repository, by.clone()).await), NO_SUCH_UPLOAD);
            assert_eq!(refusal(uploads.open(id, repository, by.clone()).await), NO_SUCH_UPLOAD);
            assert_eq!(refusal(uploads.cancel(id, repository, by).await), NO_SUCH_UPLOAD);
        }
        // None of them took it over or touched its bytes.
        assert_eq!(status(&store, id).await.unwrap(), before);
        let writing = open(&store, id).await;
        writing.finish(&Digest::sha256(b"hers")).await.unwrap();
        assert_only_blob(&store, b"hers").await;
        assert_eq!(store.stores.catalog.blob(other, Digest::sha256(b"hers")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_cancelled_session_leaves_nothing_even_under_a_writer() {
    for store in TestStore::all(&Limits::default()).await {
        let uploads = &store.stores.uploads;
        let waiting = parked(&store, &large(1)).await;
        uploads.cancel(waiting, store.repository, alice()).await.unwrap();
        assert_eq!(refusal(status(&store, waiting).await), NO_SUCH_UPLOAD);
        assert_nothing_stored(&store).await;
        let id = parked(&store, &large(1)).await;
        let mut writing = open(&store, id).await;
        writing.write(large(2)).await.unwrap();
        uploads.cancel(id, store.repository, alice()).await.unwrap();
        let content = [&large(1)[..], &large(2)].concat();
        assert_eq!(refusal(writing.finish(&Digest::sha256(&content)).await), TAKEN_OVER);
        assert_eq!(refusal(uploads.cancel(id, store.repository, alice()).await), NO_SUCH_UPLOAD);
        assert_nothing_stored(&store).await;
    }
}
