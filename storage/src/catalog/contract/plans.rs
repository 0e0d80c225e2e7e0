//! How the databases find what is asked for often, among much that is not. SQLite has no statistics where Granary runs.

use super::super::lite;
use super::super::pg;
use super::files::{files, put};
use super::*;
use diesel::sql_types::Text;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _};

on_each_database!(the_versions_of_some_content_are_found_in_the_index);

async fn the_versions_of_some_content_are_found_in_the_index(database: &TestDatabase) {
    let firmware = files(&database.catalog).await;
    put(&database.catalog, firmware, "3.0", "3.0").await;
    copy(database, "9.0/", 20_000, "live");
    put(&database.catalog, firmware, "4.0", "4.0").await;
    statistics(database);
    let values = [&*firmware.0.to_string(), &*format!("'{}'", digest("4.0")), "'live'"];
    for query in [
        "SELECT name FROM version WHERE repository = $1 AND digest = $2 AND state = $3 LIMIT 1",
        "SELECT name FROM version WHERE repository = $1 AND digest = $2 AND state = $3",
        "SELECT repository, digest, name FROM version WHERE repository IN ($1, 0) AND digest IN ($2, '') AND state = $3 LIMIT 10000",
    ] {
        let plan = plan(database, query, &values);
        assert!(plan.contains("version_by_content"), "{query}: {plan}");
    }
}

/// What PostgreSQL gathers by itself in time.
pub(super) fn statistics(database: &TestDatabase) {
    if let Database::Postgres(_) = database.database() {
        database.execute("ANALYZE");
    }
}

/// Stores the file `3.0` under many names more, as a program did that knew of no releases.
pub(super) fn copy(database: &TestDatabase, prefix: &str, count: usize, state: &str) {
    database.execute(&format!(
        "INSERT INTO version (repository, name, digest, updated_at, updated_by, state) \
         WITH RECURSIVE step (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM step WHERE place < {count}) \
         SELECT repository, '{prefix}' || CAST(place AS TEXT), digest, 0, 'alice', '{state}' FROM step, version WHERE name = '3.0'"
    ));
}

/// How the database would answer a query with these values.
pub(super) fn plan(database: &TestDatabase, query: &str, values: &[&str]) -> String {
    #[derive(QueryableByName)]
    struct Lite {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    #[derive(QueryableByName)]
    struct Pg {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        detail: String,
    }
    let query = (1..)
        .zip(values)
        .fold(query.to_owned(), |query, (place, value)| query.replace(&format!("${place}"), value));
    let lines: Vec<String> = match database.database() {
        Database::Sqlite(path) => {
            let mut connection = lite::Conn::establish(path.to_str().unwrap()).unwrap();
            let rows: Vec<Lite> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}"))
                .load(&mut connection)
                .unwrap();
            rows.into_iter().map(|row| row.detail).collect()
        }
        Database::Postgres(url) => {
            let mut connection = pg::Conn::establish(url).unwrap();
            // It tells the plan of the later steps once it has made them.
            let rows: Vec<Pg> = diesel::sql_query(format!("EXPLAIN (ANALYZE) {query}"))
                .load(&mut connection)
                .unwrap();
            rows.into_iter().map(|row| row.detail).collect()
        }
    };
    lines.join("\n")
}
