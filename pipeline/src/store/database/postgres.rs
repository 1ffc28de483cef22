//! A schema that replicas share. Whoever writes locks one row first; whoever committed notifies.

use std::{fmt, str::FromStr, time::Duration};

use sqlx::{
    PgConnection, PgPool, Postgres, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use crate::store::error::StoreError;

const CONNECTIONS: u32 = 8;
/// How long a request waits for a connection, as while the database is away.
const CONNECT: Duration = Duration::from_secs(10);
/// Shared by all tenants of one database; the schema tells them apart.
const CHANNEL: &str = "aios";

/// Defaults of the database that would break a promise are overridden; stronger ones are kept. A
/// process that hangs in a transaction loses it, so that others can write.
const SESSION: &str = "
    SET default_transaction_isolation = 'read committed';
    SET default_transaction_read_only = off;
    SET idle_in_transaction_session_timeout = '10s';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off';
";

/// Where a PostgreSQL is and how to get in.
#[derive(Clone)]
pub struct PostgresUri(PgConnectOptions);

impl FromStr for PostgresUri {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let text = text.trim();
        if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
            return Err(StoreError::PostgresUri("it has another scheme".to_owned()));
        }
        let options = PgConnectOptions::from_str(text)
            .map_err(|error| StoreError::PostgresUri(error.to_string()))?;
        // Else the rest of the password would be taken for a path, and told.
        if options
            .get_database()
            .is_some_and(|name| name.contains('@'))
        {
            let said = "an @ stands in its database: write / in a password as %2F";
            return Err(StoreError::PostgresUri(said.to_owned()));
        }
        Ok(Self(options.application_name("aios-gateway")))
    }
}

/// Without the password.
impl fmt::Debug for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.0.get_database().unwrap_or_default();
        write!(f, "{}:{}/{database}", self.0.get_host(), self.0.get_port())
    }
}

pub(super) async fn open(uri: &PostgresUri) -> Result<PgPool, StoreError> {
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECT)
        .after_connect(|connection, _| Box::pin(set_up(connection)))
        .connect_with(uri.0.clone())
        .await?;
    let mut first = pool.acquire().await?;
    migrator().run_direct(None, &mut *first, false).await?;
    drop(first);
    Ok(pool)
}

async fn set_up(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(SESSION).execute(connection).await?;
    Ok(())
}

/// A transaction that no other one runs beside. Each later statement sees all that was committed
/// before, as the isolation level is `read committed`.
pub(super) async fn write(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT name FROM meta WHERE name = 'writer' FOR UPDATE")
        .fetch_one(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// Is sent with the commit.
pub(super) async fn tell(transaction: &mut PgConnection, process: &str) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_notify($1, $2 || '/' || current_schema())")
        .bind(CHANNEL)
        .bind(process)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Dead rows hold keys that were destroyed. Vacuum frees them; copies in the write-ahead log, on
/// standbys and in backups last as long as those are kept.
pub(super) async fn forget_pages(pool: &PgPool) -> Result<(), StoreError> {
    for sql in [
        "VACUUM subject_keys",
        "VACUUM leaves",
        "VACUUM documents",
        "VACUUM contexts",
        "VACUUM identities",
    ] {
        sqlx::query(sql).execute(pool).await?;
    }
    Ok(())
}

/// Word of what other processes committed.
pub struct News {
    listener: PgListener,
    schema: String,
    process: String,
}

impl News {
    pub(super) async fn of(pool: &PgPool, process: &str) -> Result<Self, StoreError> {
        let schema: String = sqlx::query_scalar("SELECT current_schema()::text")
            .fetch_one(pool)
            .await?;
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self {
            listener,
            schema,
            process: process.to_owned(),
        })
    }

    /// Resolves when something was committed, and when something may have been missed.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        loop {
            let Some(word) = self.listener.try_recv().await? else {
                return Ok(());
            };
            let of_another = word
                .payload()
                .split_once('/')
                .is_some_and(|(process, schema)| schema == self.schema && process != self.process);
            if of_another {
                return Ok(());
            }
        }
    }
}

fn migrator() -> Migrator {
    let migration = |version, name: &'static str, sql: &'static str| {
        let sql = sqlx::SqlSafeStr::into_sql_str(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    let init = include_str!("../schema/postgres/0001_init.sql");
    let identities = include_str!("../schema/postgres/0002_identities.sql");
    let days = include_str!("../schema/postgres/0003_accepted_days.sql");
    let fired = include_str!("../schema/postgres/0004_fired.sql");
    let experiments = include_str!("../schema/postgres/0005_experiments.sql");
    Migrator::with_migrations(vec![
        migration(1, "init", init),
        migration(2, "identities", identities),
        migration(3, "accepted days", days),
        migration(4, "fired", fired),
        migration(5, "experiments", experiments),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use rstest::rstest;

    use super::{PostgresUri, open};

    #[rstest]
    #[case::scheme("mysql://aios:s3cret-word@db/aios")]
    #[case::port("postgresql://aios:s3cret-word@db:port/aios")]
    #[case::mode("postgresql://aios:s3cret-word@db/aios?sslmode=perhaps")]
    #[case::no_host("postgresql://aios:s3cret-word@:5432/aios")]
    #[case::slash("postgresql://aios:5/s3cret-word@db:5432/aios")]
    #[case::hash("postgresql://aios:5#s3cret-word@db:5432/aios")]
    #[case::space("postgresql://aios:s3cret-word @d b:5432/aios")]
    #[tokio::test]
    async fn no_error_of_a_database_tells_its_password(#[case] uri: &str) {
        let said = match uri.parse::<PostgresUri>() {
            Err(error) => error.to_string(),
            Ok(uri) => {
                let opened = tokio::time::timeout(Duration::from_secs(20), open(&uri)).await;
                format!("{uri:?}: {}", opened.unwrap().unwrap_err())
            }
        };
        assert!(!said.contains("s3cret"), "{said}");
    }
}
