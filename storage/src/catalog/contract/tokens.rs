//! Signing keys and refresh tokens.

use super::*;
use crate::error::{ErrorKind, What};
use futures_util::future::join_all;

on_each_database!(
    racers_for_the_signing_key_get_the_same_one,
    the_newest_signing_key_comes_first,
    a_refresh_token_is_known_until_it_expires,
    a_refresh_token_is_added_once,
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
    catalog.add_refresh_token(token.clone()).await.unwrap();
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
    let again = catalog.add_refresh_token(added).await;
    assert_eq!(refusal(again), (ErrorKind::Conflict, What::Token));
    assert_eq!(database.count("refresh_token"), 1);
}
