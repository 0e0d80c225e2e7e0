//! Projects, their members and roles.

use super::*;
use crate::access::Role;
use crate::error::{ErrorKind, What};

on_each_database!(
    a_project_is_made_once,
    projects_are_listed_bytewise_in_pages,
    a_project_is_opened_and_closed,
    a_project_lets_versions_be_replaced_or_not,
    a_project_has_its_files_keep_their_content_or_not,
    a_role_is_granted_changed_and_taken_away,
    what_does_not_exist_has_no_members,
);

async fn create(catalog: &Catalog, project: &str, owner: Option<AccountId>) -> Result<Project> {
    catalog.create_project(project_name(project), false, owner, somebody()).await
}

async fn account(catalog: &Catalog, name: &str) -> AccountId {
    let made = catalog.create_account(name.into(), "hash".into(), false, somebody());
    made.await.unwrap().id
}

async fn a_project_is_made_once(database: &TestDatabase) {
    let catalog = &database.catalog;
    let owner = account(catalog, "olga").await;
    let made = create(catalog, "acme", Some(owner)).await.unwrap();
    assert_eq!((made.name.as_str(), made.public), ("acme", false));
    assert!(made.created_at > 1_500_000_000_000, "milliseconds, not seconds");
    assert_eq!(catalog.project(project_name("acme")).await.unwrap(), Some(made));
    assert_eq!(
        catalog.members(project_name("acme")).await.unwrap(),
        [("olga".to_owned(), Role::Maintainer)]
    );

    let again = create(catalog, "acme", None).await;
    assert_eq!(refusal(again), (ErrorKind::Conflict, What::Project));
    assert_eq!(database.count("project"), 1);
    assert_eq!(events_after(catalog, 1).await, ["project.created"]);
    assert_eq!(catalog.project(project_name("other")).await.unwrap(), None);
}

async fn projects_are_listed_bytewise_in_pages(database: &TestDatabase) {
    let catalog = &database.catalog;
    for project in ["b", "a.b", "a_b", "a-b", "ab", "a", "1"] {
        create(catalog, project, None).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = catalog.projects(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some(last.name.to_string());
        seen.extend(page.into_iter().map(|project| project.name.to_string()));
    }
    assert_eq!(seen, ["1", "a", "a-b", "a.b", "a_b", "ab", "b"]);
}

async fn a_project_lets_versions_be_replaced_or_not(database: &TestDatabase) {
    let catalog = &database.catalog;
    let acme = || project_name("acme");
    let made = create(catalog, "acme", None).await.unwrap();
    assert!(!made.mutable_versions, "what is published stays, unless somebody says otherwise");
    for mutable in [true, false] {
        catalog.set_mutable_versions(acme(), mutable, somebody()).await.unwrap();
        let found = catalog.project(acme()).await.unwrap().unwrap();
        assert_eq!((found.mutable_versions, found.public), (mutable, false));
    }
    let absent = catalog.set_mutable_versions(project_name("other"), true, somebody()).await;
    assert_eq!(refusal(absent), (ErrorKind::NotFound, What::Project));
    assert_eq!(
        events_after(catalog, 0).await,
        ["project.created", "project.changed", "project.changed"]
    );
}

async fn a_project_has_its_files_keep_their_content_or_not(database: &TestDatabase) {
    let catalog = &database.catalog;
    let acme = || project_name("acme");
    assert!(!create(catalog, "acme", None).await.unwrap().immutable_files);
    for immutable in [true, false] {
        catalog.set_immutable_files(acme(), immutable, somebody()).await.unwrap();
        let found = catalog.project(acme()).await.unwrap().unwrap();
        assert_eq!((found.immutable_files, found.mutable_versions), (immutable, false));
    }
    let absent = catalog.set_immutable_files(project_name("other"), true, somebody()).await;
    assert_eq!(refusal(absent), (ErrorKind::NotFound, What::Project));
    assert_eq!(
        events_after(catalog, 0).await,
        ["project.created", "project.changed", "project.changed"]
    );
}

async fn a_project_is_opened_and_closed(database: &TestDatabase) {
    let catalog = &database.catalog;
    create(catalog, "acme", None).await.unwrap();
    for public in [true, false] {
        catalog.set_project_public(project_name("acme"), public, somebody()).await.unwrap();
        assert_eq!(catalog.project(project_name("acme")).await.unwrap().unwrap().public, public);
    }
    assert_eq!(events_after(catalog, 1).await, ["project.changed", "project.changed"]);
    let missing = catalog.set_project_public(project_name("other"), true, somebody()).await;
    assert_eq!(refusal(missing), (ErrorKind::NotFound, What::Project));
}

async fn a_role_is_granted_changed_and_taken_away(database: &TestDatabase) {
    let catalog = &database.catalog;
    let acme = || project_name("acme");
    let id = create(catalog, "acme", None).await.unwrap().id;
    let zoe = account(catalog, "zoe").await;
    account(catalog, "Bob").await;
    account(catalog, "anna").await;
    catalog.grant(acme(), "zoe".into(), Role::Viewer, somebody()).await.unwrap();
    catalog.grant(acme(), "anna".into(), Role::Developer, somebody()).await.unwrap();
    catalog.grant(acme(), "Bob".into(), Role::Viewer, somebody()).await.unwrap();
    catalog.grant(acme(), "zoe".into(), Role::Maintainer, somebody()).await.unwrap();
    assert_eq!(
        catalog.members(acme()).await.unwrap(),
        [
            ("Bob".to_owned(), Role::Viewer),
            ("anna".to_owned(), Role::Developer),
            ("zoe".to_owned(), Role::Maintainer)
        ]
    );
    let facts = catalog.account_facts(zoe).await.unwrap().unwrap();
    assert_eq!(facts.roles.get(&id), Some(&Role::Maintainer));

    assert!(catalog.revoke(acme(), "zoe".into(), somebody()).await.unwrap());
    assert!(
        !catalog.revoke(acme(), "zoe".into(), somebody()).await.unwrap(),
        "she had no role any more"
    );
    assert!(!catalog.revoke(acme(), "nobody".into(), somebody()).await.unwrap());
    assert_eq!(catalog.members(acme()).await.unwrap().len(), 2);
    assert!(catalog.account_facts(zoe).await.unwrap().unwrap().roles.is_empty());
    assert_eq!(database.count("event WHERE kind = 'member.granted'"), 4);
    assert_eq!(database.count("event WHERE kind = 'member.revoked'"), 1);
}

async fn what_does_not_exist_has_no_members(database: &TestDatabase) {
    let catalog = &database.catalog;
    create(catalog, "acme", None).await.unwrap();
    let members = catalog.members(project_name("other")).await;
    assert_eq!(refusal(members), (ErrorKind::NotFound, What::Project));
    let granted = catalog.grant(project_name("other"), "anna".into(), Role::Viewer, somebody()).await;
    assert_eq!(refusal(granted), (ErrorKind::NotFound, What::Project));
    let granted = catalog.grant(project_name("acme"), "anna".into(), Role::Viewer, somebody()).await;
    assert_eq!(refusal(granted), (ErrorKind::NotFound, What::Credentials));
    let revoked = catalog.revoke(project_name("other"), "anna".into(), somebody()).await;
    assert_eq!(refusal(revoked), (ErrorKind::NotFound, What::Project));
    assert_eq!(database.count("project_member"), 0);
}
