//! Signing keys and refresh tokens.

use super::*;
use crate::error::{ErrorKind, What};
use futures_util::future::join_all;

on_each_database!(
    racers_for_the_signing_key_get_the_same_one,
    the_newest_signing_key_comes_first,
    a_refresh_token_is_known_until_it_expires,
    a_refresh_token_is_added_once,
    an_account_that_has_all_its_refresh_tokens_loses_the_oldest,
    a_dead_refresh_token_goes_before_a_living_one,
    racers_for_the_last_refresh_tokens_leave_an_account_what_it_may_have,
);

fn key(id: &str, created_at: Millis) -> SigningKey {
    SigningKey {
        id: id.into(),
        pkcs8: vec![0, 1, 255, id.len() as u8],
        created_at,
    }
}

async fn racers_for_the_signing_key_get_the_same_one(database: &TestDatabase) {
    // Two nodes start on one database.
    let other_node = database.open_again();
    let racer = |number: usize| {
        let catalog = [&database.catalog, &other_node][number % 2];
        catalog.ensure_signing_key(key(&format!("key {number}"), 7))
    };
    let keys: Vec<SigningKey> = join_all((0..MANY).map(racer)).await.into_iter().map(Result::unwrap).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(other_node.signing_keys().await.unwrap(), [keys[0].clone()], "with its bytes");
}

async fn the_newest_signing_key_comes_first(database: &TestDatabase) {
    let catalog = &database.catalog;
    catalog.ensure_signing_key(key("old", 7)).await.unwrap();
    database.execute("INSERT INTO signing_key (id, pkcs8, created_at) SELECT 'new', pkcs8, 8 FROM signing_key");
    let ids: Vec<String> = catalog.signing_keys().await.unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(ids, ["new", "old"]);
    assert_eq!(
        catalog.ensure_signing_key(key("newer", 9)).await.unwrap().id,
        "new",
        "the key in force stays"
    );
}

async fn token(catalog: &Catalog, hash: &str, expires_at: Millis) -> RefreshToken {
    let account = match catalog.account("anna".into()).await.unwrap() {
        Some(account) => account,
        None => catalog
            .create_account("anna".into(), "hash".into(), false, somebody())
            .await
            .unwrap(),
    };
    let token = RefreshToken {
        hash: hash.into(),
        account: account.id,
        generation: account.generation,
        expires_at,
    };
    catalog.add_refresh_token(token.clone(), 100).await.unwrap();
    token
}

async fn a_refresh_token_is_known_until_it_expires(database: &TestDatabase) {
    let catalog = &database.catalog;
    let short = token(catalog, "short", 100).await;
    let long = token(catalog, "long", 200).await;
    let (found, account) = catalog.refresh_token("short".into(), 99).await.unwrap().unwrap();
    assert_eq!((found, &*account.name), (short, "anna"));
    assert_eq!(catalog.refresh_token("short".into(), 100).await.unwrap(), None);
    assert_eq!(catalog.refresh_token("unknown".into(), 0).await.unwrap(), None);
    assert_eq!(catalog.sweep_refresh_tokens(100).await.unwrap(), 1);
    assert_eq!(catalog.sweep_refresh_tokens(100).await.unwrap(), 0);
    assert_eq!(catalog.refresh_token("short".into(), 0).await.unwrap(), None);
    assert_eq!(catalog.refresh_token("long".into(), 0).await.unwrap().unwrap().0, long);
}

async fn a_refresh_token_is_added_once(database: &TestDatabase) {
    let catalog = &database.catalog;
    let added = token(catalog, "one", 100).await;
    let again = catalog.add_refresh_token(added, 100).await;
    assert_eq!(refusal(again), (ErrorKind::Conflict, What::Token));
    assert_eq!(database.count("refresh_token"), 1);
}

async fn an_account_that_has_all_its_refresh_tokens_loses_the_oldest(database: &TestDatabase) {
    let catalog = &database.catalog;
    let first = token(catalog, "first", 100).await;
    let others = catalog
        .create_account("ben".into(), "hash".into(), false, somebody())
        .await
        .unwrap();
    let of_another = RefreshToken {
        hash: "another's".into(),
        account: others.id,
        ..first.clone()
    };
    catalog.add_refresh_token(of_another, 3).await.unwrap();
    for (hash, expires_at) in [("second", 101), ("third", 102), ("fourth", 103)] {
        let hash = hash.into();
        catalog
            .add_refresh_token(
                RefreshToken {
                    hash,
                    expires_at,
                    ..first.clone()
                },
                3,
            )
            .await
            .unwrap();
    }
    assert_eq!(
        living(catalog, ["first", "second", "third", "fourth"]).await,
        ["second", "third", "fourth"]
    );
    assert_eq!(living(catalog, ["another's"]).await, ["another's"]);

    // The limit was lowered.
    let hash = "fifth".into();
    catalog
        .add_refresh_token(
            RefreshToken {
                hash,
                expires_at: 104,
                ..first
            },
            1,
        )
        .await
        .unwrap();
    assert_eq!(living(catalog, ["second", "third", "fourth", "fifth"]).await, ["fifth"]);
    assert_eq!(living(catalog, ["another's"]).await, ["another's"]);
}

async fn a_dead_refresh_token_goes_before_a_living_one(database: &TestDatabase) {
    let catalog = &database.catalog;
    token(catalog, "dead", 300).await;
    catalog.set_password("anna".into(), "another".into(), somebody()).await.unwrap();
    let living_one = token(catalog, "living", 100).await;
    let hash = "newest".into();
    catalog
        .add_refresh_token(
            RefreshToken {
                hash,
                expires_at: 200,
                ..living_one
            },
            2,
        )
        .await
        .unwrap();
    assert_eq!(living(catalog, ["dead", "living", "newest"]).await, ["living", "newest"]);
}

async fn racers_for_the_last_refresh_tokens_leave_an_account_what_it_may_have(database: &TestDatabase) {
    let catalog = &database.catalog;
    let first = token(catalog, "first", 100).await;
    let racer = |number: usize| {
        let hash = format!("racer {number}");
        catalog.add_refresh_token(RefreshToken { hash, ..first.clone() }, 5)
    };
    join_all((0..MANY).map(racer)).await.into_iter().for_each(Result::unwrap);
    assert_eq!(database.count("refresh_token"), 5);
}

/// Of these, those that are known.
async fn living<const N: usize>(catalog: &Catalog, hashes: [&'static str; N]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for hash in hashes {
        found.extend(catalog.refresh_token(hash.into(), 0).await.unwrap().map(|_| hash));
    }
    found
}
