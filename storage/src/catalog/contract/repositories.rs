//! Repositories: how they come to be, and who sees them in a list.

use super::*;
use crate::access::Role;
use crate::error::{ErrorKind, What};
use futures_util::future::join_all;
use std::collections::HashSet;

on_each_database!(
    many_first_pushes_at_once_make_one_repository,
    a_repository_has_one_format,
    a_repository_that_was_never_made_is_absent,
    repositories_that_hold_something_are_listed_bytewise_in_pages,
    a_list_shows_what_is_visible_and_nothing_else,
);

async fn many_first_pushes_at_once_make_one_repository(database: &TestDatabase) {
    let catalog = &database.catalog;
    let owner = catalog
        .create_account("olga".into(), "hash".into(), false, somebody())
        .await
        .unwrap()
        .id;
    let first_push = |_| catalog.ensure_repository(name("acme/api"), StorageFormat::Oci, Some(owner), somebody());
    let made = join_all((0..MANY).map(first_push)).await;
    let ids: HashSet<RepositoryId> = made.into_iter().map(|repository| repository.unwrap().id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!((database.count("project"), database.count("repository")), (1, 1));
    assert_eq!(
        catalog.members(project_name("acme")).await.unwrap(),
        [("olga".to_owned(), Role::Maintainer)]
    );
    let mut kinds = events_after(catalog, 1).await;
    kinds.sort();
    assert_eq!(kinds, ["project.created", "repository.created"]);
}

async fn a_repository_has_one_format(database: &TestDatabase) {
    let catalog = &database.catalog;
    repository(catalog, "acme/api").await;
    let files = catalog
        .ensure_repository(name("acme/api"), StorageFormat::Generic, None, somebody())
        .await;
    assert_eq!(refusal(files), (ErrorKind::Conflict, What::Repository));
    let found = catalog.repository(name("acme/api")).await.unwrap().unwrap();
    assert_eq!((found.format, found.name.as_str()), (StorageFormat::Oci, "acme/api"));
    assert_eq!(found.project, catalog.project(project_name("acme")).await.unwrap().unwrap().id);
}

async fn a_repository_that_was_never_made_is_absent(database: &TestDatabase) {
    repository(&database.catalog, "acme/api").await;
    assert_eq!(database.catalog.repository(name("acme/ap")).await.unwrap(), None);
    assert_eq!(database.catalog.repository(name("acme/api/v2")).await.unwrap(), None);
}

/// A repository with a manifest in it.
async fn filled(catalog: &Catalog, full_name: &str) -> RepositoryId {
    let repository = repository(catalog, full_name).await;
    push(catalog, manifest(repository, full_name)).await;
    repository
}

async fn repositories_that_hold_something_are_listed_bytewise_in_pages(database: &TestDatabase) {
    let catalog = &database.catalog;
    let sorted = ["a-b/z", "a.b/z", "a/b", "a/b-c", "a/b/c", "a/b0", "a/b_c", "a0/z"];
    for full_name in sorted.iter().rev() {
        filled(catalog, full_name).await;
    }
    repository(catalog, "a/empty").await;
    let emptied = filled(catalog, "a/emptied").await;
    catalog.delete_artifact(emptied, digest("a/emptied"), somebody()).await.unwrap();

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = catalog.list_repositories(everything(), None, after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        after = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen, sorted);
    assert_eq!(
        catalog.list_repositories(everything(), None, Some("a/b1".into()), 1).await.unwrap(),
        ["a/b_c"]
    );
}

async fn a_list_shows_what_is_visible_and_nothing_else(database: &TestDatabase) {
    let catalog = &database.catalog;
    for full_name in ["open/one", "mine/one", "mine/two", "theirs/one"] {
        filled(catalog, full_name).await;
    }
    catalog.set_project_public(project_name("open"), true, somebody()).await.unwrap();
    let mine = catalog.project(project_name("mine")).await.unwrap().unwrap().id;
    let list = async |projects: Option<Vec<ProjectId>>, public: bool, only: Option<&[&str]>| {
        let only = only.map(|names| names.iter().copied().map(name).collect());
        let visible = Visible { projects, public, only };
        catalog.list_repositories(visible, None, None, 100).await.unwrap()
    };
    assert_eq!(list(Some(vec![]), false, None).await, Vec::<String>::new());
    assert_eq!(list(Some(vec![]), true, None).await, ["open/one"]);
    assert_eq!(list(Some(vec![mine]), false, None).await, ["mine/one", "mine/two"]);
    assert_eq!(list(Some(vec![mine]), true, None).await, ["mine/one", "mine/two", "open/one"]);
    assert_eq!(list(None, false, None).await, ["mine/one", "mine/two", "open/one", "theirs/one"]);

    // A token narrows; it never widens.
    let scopes: &[&str] = &["mine/two", "theirs/one", "nobody/else"];
    assert_eq!(list(Some(vec![mine]), true, Some(scopes)).await, ["mine/two"]);
    assert_eq!(list(None, true, Some(scopes)).await, ["mine/two", "theirs/one"]);
    assert_eq!(list(None, true, Some(&[])).await, Vec::<String>::new());
    let nothing = catalog.list_repositories(Visible::NOTHING, None, None, 100).await.unwrap();
    assert_eq!(nothing, Vec::<String>::new());
}
