//! The tables: what the migrations make is what the queries are written against, on both
//! databases alike, and every migration can be taken back.

use super::super::{lite, pg, schema};
use super::*;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;
use diesel_migrations::MigrationHarness as _;
use std::collections::BTreeSet;

on_each_database!(
    every_column_of_every_table_can_be_read,
    the_tables_are_those_of_the_schema,
    opening_a_database_again_changes_nothing,
    the_migrations_can_be_taken_back_and_made_again,
);

/// The words of a table as a database tells them: its name, a column, the column's type, whether it may be empty.
type Column = (String, String, String, bool);

enum Either {
    Lite(lite::Conn),
    Pg(pg::Conn),
}

fn connect(database: &TestDatabase) -> Either {
    match database.database() {
        Database::Sqlite(path) => Either::Lite(lite::Conn::establish(path.to_str().unwrap()).unwrap()),
        Database::Postgres(url) => Either::Pg(pg::Conn::establish(url).unwrap()),
    }
}

#[rustfmt::skip]
type Artifact = (
    i64, String, String, String, Option<String>, Option<String>, i64,
    i64, String, Option<String>, i64, String, String, Option<i64>,
);

#[rustfmt::skip]
type Chart = (
    i64, String, String, String, String, String, String,
    String, i64, Option<String>, String, i64,
);

#[rustfmt::skip]
type ChartImage = (
    i64, String, i64, String, String, Option<String>, Option<String>,
    Option<String>, Option<String>,
);

#[rustfmt::skip]
type Version = (
    i64, String, String, i64, String, String, Option<String>, String,
    Option<String>, Option<String>, Option<bool>,
);

#[rustfmt::skip]
type TusUpload = (
    String, i64, String, Option<i64>, String, Option<String>, Option<String>,
    Option<i64>, Option<String>, bool, i64,
);

/// Reads every column of each table listed, and gives each table's columns as `schema.rs` has them.
macro_rules! read_tables {
    ($connection:ident, $($table:ident: $row:ty,)+) => {
        vec![$({
            let rows = schema::$table::table.load::<$row>($connection).unwrap();
            assert!(!rows.is_empty(), "{} is empty, so nothing was read", stringify!($table));
            let columns = schema::$table::table.select(schema::$table::all_columns);
            (stringify!($table), columns_of(&diesel::debug_query::<Sqlite, _>(&columns).to_string()))
        }),+]
    };
}

macro_rules! reader {
    ($name:ident, $connection:ty) => {
        fn $name(connection: &mut $connection) -> Vec<(&'static str, BTreeSet<String>)> {
            read_tables!(connection,
                project: (i64, String, bool, i64, bool, bool),
                repository: (i64, i64, String, String, i64),
                blob: (String, i64, String, Vec<u8>, String, i64, Option<String>, Option<String>, Option<String>),
                repository_blob: (i64, String, i64),
                manifest: (String, Vec<u8>),
                artifact: Artifact,
                edge: (i64, String, String, String, bool),
                version: Version,
                label: (i64, String, String, String),
                version_history: (i64, i64, String, Option<String>, i64, String),
                upload: (String, i64, String, String, i64, i64, i64),
                event: (i64, i64, String, String, Option<i64>, String),
                follower_cursor: (String, i64),
                job: (i64, String, String, i64, i64, i64),
                account: (i64, String, String, bool, bool, i64, i64),
                project_member: (i64, i64, String),
                signing_key: (String, Vec<u8>, i64),
                refresh_token: (String, i64, i64, i64),
                chart: Chart,
                chart_unlisted: (i64, String, String),
                chart_mark: (i64, String, Option<String>, bool),
                chart_event: (i64, String, i64, i64),
                chart_image: ChartImage,
                chart_publisher: (String, i64, Vec<u8>, i64, String),
                tus_upload: TusUpload,
            )
        }
    };
}
reader!(read_sqlite, lite::Conn);
reader!(read_postgres, pg::Conn);

/// The columns in "SELECT `table`.`column`, … FROM …".
fn columns_of(select: &str) -> BTreeSet<String> {
    let quoted = select.split("`.`").skip(1);
    quoted.map(|rest| rest.split('`').next().unwrap().to_owned()).collect()
}

/// Leaves at least one row in every table.
async fn fill(database: &TestDatabase) {
    let catalog = &database.catalog;
    let anna = catalog
        .create_account("anna".into(), "hash".into(), false, somebody())
        .await
        .unwrap()
        .id;
    catalog
        .ensure_repository(name("acme/api"), StorageFormat::Oci, Some(anna), somebody())
        .await
        .unwrap();
    let api = repository(catalog, "acme/api").await;
    let layer = push_blob(catalog, api, "layer").await;
    push(catalog, manifest(api, "image").naming(layer, EdgeRole::Layer).tagged(&["1.0"])).await;
    let session = catalog.create_upload(api, somebody(), Algorithm::Sha256, FUTURE, 9).await.unwrap();
    catalog.add_tus_upload(tus::of(&session)).await.unwrap();
    push(catalog, charts::chart(api, "a chart", "1.2.3", "its archive").tagged(&["1.2.3"])).await;
    chart_images::fill(catalog, api).await;
    publishers::fill(catalog).await;
    push(catalog, charts::unlisted(api, "no chart", "it is none")).await;
    versions::yank(catalog, api, "1.2.3", "it is broken").await.unwrap();
    labels::labelled(catalog, "fw.bin", &[("os", "linux")]).await;
    catalog.set_cursor("search".into(), 1).await.unwrap();
    let token = RefreshToken {
        hash: "hash".into(),
        account: anna,
        generation: 1,
        expires_at: FUTURE,
    };
    catalog.add_refresh_token(token, 100).await.unwrap();
    let key = SigningKey {
        id: "key".into(),
        pkcs8: vec![1],
        created_at: 0,
    };
    catalog.ensure_signing_key(key).await.unwrap();
    database.execute("INSERT INTO job (kind, body, run_after, lease_until, attempts) VALUES ('scan', '{}', 0, 0, 0)");
}

/// The tables as the queries believe them to be, every column read once.
fn read(database: &TestDatabase) -> Vec<(&'static str, BTreeSet<String>)> {
    match connect(database) {
        Either::Lite(mut connection) => read_sqlite(&mut connection),
        Either::Pg(mut connection) => read_postgres(&mut connection),
    }
}

/// The tables as they are.
fn live_columns(database: &TestDatabase) -> BTreeSet<Column> {
    let rows: Vec<Column> = match connect(database) {
        // A key is never empty here, whether or not SQLite calls it so.
        Either::Lite(mut connection) => sql::<(Text, Text, Text, Bool)>(
            "SELECT t.name, c.name, CASE c.type WHEN 'INTEGER' THEN 'bigint' WHEN 'BLOB' THEN 'bytea' ELSE lower(c.type) END, \
             c.\"notnull\" = 0 AND c.pk = 0 FROM sqlite_master t JOIN pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'",
        )
        .load(&mut connection),
        Either::Pg(mut connection) => sql::<(Text, Text, Text, Bool)>(
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_\\_diesel%'",
        )
        .load(&mut connection),
    }
    .unwrap();
    rows.into_iter().collect()
}

async fn every_column_of_every_table_can_be_read(database: &TestDatabase) {
    fill(database).await;
    assert_eq!(read(database).len(), 25);
}

async fn the_tables_are_those_of_the_schema(database: &TestDatabase) {
    fill(database).await;
    let believed: BTreeSet<(String, String)> = read(database)
        .into_iter()
        .flat_map(|(table, columns)| columns.into_iter().map(move |column| (table.to_owned(), column)))
        .collect();
    let live = live_columns(database)
        .into_iter()
        .map(|(table, column, ..)| (table, column))
        .collect();
    assert_eq!(believed, live);
}

async fn opening_a_database_again_changes_nothing(database: &TestDatabase) {
    fill(database).await;
    let (columns, rows) = (live_columns(database), database.count("event"));
    let again = database.open_again();
    assert!(again.account("anna".into()).await.unwrap().is_some());
    assert_eq!(again.events(0, 100).await.unwrap(), database.catalog.events(0, 100).await.unwrap());
    assert_eq!((live_columns(database), database.count("event")), (columns, rows));
    assert_eq!(database.count("__diesel_schema_migrations"), folders("sqlite").len() as i64);
}

async fn the_migrations_can_be_taken_back_and_made_again(database: &TestDatabase) {
    fill(database).await;
    let before = live_columns(database);
    match connect(database) {
        Either::Lite(mut connection) => drop(connection.revert_all_migrations(lite::MIGRATIONS).unwrap()),
        Either::Pg(mut connection) => drop(connection.revert_all_migrations(pg::MIGRATIONS).unwrap()),
    }
    assert_eq!(live_columns(database), BTreeSet::new());
    // Opening makes them again, and they work.
    let again = database.open_again();
    assert_eq!(live_columns(database), before);
    repository(&again, "acme/api").await;
    assert_eq!(database.count("repository"), 1);
}

/// The dated folders of one side.
fn folders(side: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(side);
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn both_databases_have_migrations_of_the_same_names() {
    assert_eq!(folders("sqlite"), folders("postgres"));
    assert!(!folders("sqlite").is_empty());
}

#[test]
fn both_databases_have_the_same_columns_and_indexes() {
    let Some(postgres) = postgres() else { return };
    let sqlite = sqlite();
    assert_eq!(live_columns(&sqlite), live_columns(&postgres));
    assert_eq!(indexes(&sqlite), indexes(&postgres));
}

/// The indexes that the migrations name, not those that come with a key.
fn indexes(database: &TestDatabase) -> BTreeSet<(String, String)> {
    let rows: Vec<(String, String)> = match connect(database) {
        Either::Lite(mut connection) => {
            sql::<(Text, Text)>("SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").load(&mut connection)
        }
        Either::Pg(mut connection) => sql::<(Text, Text)>(
            "SELECT tablename::text, indexname::text FROM pg_indexes WHERE schemaname = current_schema() \
             AND indexname NOT LIKE '%\\_pkey' AND indexname NOT LIKE '%\\_key'",
        )
        .load(&mut connection),
    }
    .unwrap();
    rows.into_iter().collect()
}

#[test]
fn on_postgres_every_text_sorts_bytewise() {
    let Some(database) = postgres() else { return };
    let tables = "information_schema.columns WHERE table_schema = current_schema() AND table_name NOT LIKE '\\_\\_diesel%'";
    let texts = format!("{tables} AND data_type = 'text'");
    assert!(database.count(&texts) > 0);
    assert_eq!(database.count(&format!("{texts} AND collation_name IS DISTINCT FROM 'C'")), 0);
    assert_eq!(database.count(&format!("{tables} AND data_type = 'character varying'")), 0);
}

#[test]
fn on_sqlite_no_text_has_a_collation_of_its_own() {
    assert_eq!(
        sqlite().count("sqlite_master WHERE sql LIKE '%COLLATE%'"),
        0,
        "BINARY is what SQLite does unasked"
    );
}
