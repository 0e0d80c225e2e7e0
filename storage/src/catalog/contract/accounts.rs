//! Accounts, and what the gate knows of one.

use super::*;
use crate::access::Role;
use crate::error::{ErrorKind, What};
use futures_util::future::join_all;

on_each_database!(
    an_account_is_made_once,
    the_first_account_is_made_by_one_of_many_starts,
    accounts_are_listed_by_name,
    a_new_password_begins_a_new_generation,
    switching_an_account_off_begins_a_new_generation,
    what_the_gate_knows_follows_the_account,
    an_account_that_does_not_exist_cannot_be_changed,
);

async fn create(catalog: &Catalog, name: &str) -> Result<Account> {
    catalog
        .create_account(name.into(), format!("hash of {name}"), false, somebody())
        .await
}

async fn account(catalog: &Catalog, name: &str) -> Account {
    catalog.account(name.into()).await.unwrap().unwrap()
}

async fn an_account_is_made_once(database: &TestDatabase) {
    let catalog = &database.catalog;
    let made = create(catalog, "anna").await.unwrap();
    assert_eq!((&*made.name, &*made.password_hash), ("anna", "hash of anna"));
    assert_eq!((made.admin, made.disabled, made.generation), (false, false, 1));
    assert_eq!(account(catalog, "anna").await, made);
    assert_eq!(refusal(create(catalog, "anna").await), (ErrorKind::Conflict, What::Credentials));
    assert_eq!(catalog.account("Anna".into()).await.unwrap(), None, "names are case-sensitive");
    assert_eq!(events_after(catalog, 0).await, ["account.created"]);
}

async fn the_first_account_is_made_by_one_of_many_starts(database: &TestDatabase) {
    let catalog = &database.catalog;
    let start = |number: usize| catalog.create_first_account(format!("admin{number}"), "hash".into(), true);
    let made: Vec<Account> = join_all((0..MANY).map(start))
        .await
        .into_iter()
        .filter_map(Result::unwrap)
        .collect();
    assert_eq!(made.len(), 1);
    assert!(made[0].admin);
    assert_eq!(catalog.accounts().await.unwrap(), made);
    assert_eq!(
        catalog.create_first_account("late".into(), "hash".into(), true).await.unwrap(),
        None
    );
}

async fn accounts_are_listed_by_name(database: &TestDatabase) {
    let catalog = &database.catalog;
    for name in ["zoe", "Bob", "anna"] {
        create(catalog, name).await.unwrap();
    }
    let names: Vec<Arc<str>> = catalog.accounts().await.unwrap().into_iter().map(|account| account.name).collect();
    assert_eq!(names, ["Bob".into(), "anna".into(), "zoe".into()]);
}

/// A refresh token of the account, as of now.
async fn refresh_token(catalog: &Catalog, account: &Account, hash: &str) {
    let token = RefreshToken {
        hash: hash.into(),
        account: account.id,
        generation: account.generation,
        expires_at: FUTURE,
    };
    catalog.add_refresh_token(token, 100).await.unwrap();
}

async fn a_new_password_begins_a_new_generation(database: &TestDatabase) {
    let catalog = &database.catalog;
    let anna = create(catalog, "anna").await.unwrap();
    let bob = create(catalog, "bob").await.unwrap();
    refresh_token(catalog, &anna, "of anna").await;
    refresh_token(catalog, &bob, "of bob").await;
    catalog.set_password("anna".into(), "new hash".into(), somebody()).await.unwrap();
    let now = account(catalog, "anna").await;
    assert_eq!((&*now.password_hash, now.generation, now.id), ("new hash", 2, anna.id));
    assert_eq!(account(catalog, "bob").await, bob);
    assert_eq!(catalog.refresh_token("of anna".into(), 0).await.unwrap(), None);
    assert!(catalog.refresh_token("of bob".into(), 0).await.unwrap().is_some());
    assert_eq!(events_after(catalog, 2).await, ["account.password_set"]);
}

async fn switching_an_account_off_begins_a_new_generation(database: &TestDatabase) {
    let catalog = &database.catalog;
    let anna = create(catalog, "anna").await.unwrap();
    refresh_token(catalog, &anna, "of anna").await;
    catalog.set_disabled("anna".into(), true, somebody()).await.unwrap();
    let off = account(catalog, "anna").await;
    assert_eq!((off.disabled, off.generation), (true, 2));
    catalog.set_disabled("anna".into(), false, somebody()).await.unwrap();
    let on = account(catalog, "anna").await;
    assert_eq!((on.disabled, on.generation), (false, 3));
    // A token that was kept through it all belongs to a generation that is over.
    if let Some((token, account)) = catalog.refresh_token("of anna".into(), 0).await.unwrap() {
        assert!(token.generation < account.generation);
    }
    assert_eq!(events_after(catalog, 1).await, ["account.disabled", "account.enabled"]);
}

async fn what_the_gate_knows_follows_the_account(database: &TestDatabase) {
    let catalog = &database.catalog;
    let anna = create(catalog, "anna").await.unwrap();
    let facts = async || catalog.account_facts(anna.id).await.unwrap().unwrap();
    let at_first = AccountFacts {
        id: anna.id,
        name: "anna".into(),
        admin: false,
        disabled: false,
        generation: 1,
        roles: std::collections::HashMap::new(),
    };
    assert_eq!(*facts().await, at_first);

    let acme = catalog
        .create_project(project_name("acme"), false, Some(anna.id), somebody())
        .await
        .unwrap();
    let other = catalog
        .create_project(project_name("other"), false, None, somebody())
        .await
        .unwrap();
    catalog
        .grant(project_name("other"), "anna".into(), Role::Viewer, somebody())
        .await
        .unwrap();
    let roles = facts().await.roles.clone();
    assert_eq!(roles, [(acme.id, Role::Maintainer), (other.id, Role::Viewer)].into());
    catalog.set_disabled("anna".into(), true, somebody()).await.unwrap();
    assert_eq!((facts().await.disabled, facts().await.generation), (true, 2));
    assert_eq!(catalog.account_facts(AccountId(anna.id.0 + 1000)).await.unwrap(), None);
}

async fn an_account_that_does_not_exist_cannot_be_changed(database: &TestDatabase) {
    let catalog = &database.catalog;
    let password = catalog.set_password("nobody".into(), "hash".into(), somebody()).await;
    assert_eq!(refusal(password), (ErrorKind::NotFound, What::Credentials));
    let disabled = catalog.set_disabled("nobody".into(), true, somebody()).await;
    assert_eq!(refusal(disabled), (ErrorKind::NotFound, What::Credentials));
    assert_eq!(database.count("event"), 0);
}
