//! One set of queries over two databases: a SQLite file of one process, or a PostgreSQL that
//! replicas share. Either way one session writes at a time, so that the log is one line.

mod lock;
mod postgres;
mod query;
mod sqlite;

use std::{ops, path::PathBuf, sync::Arc};

use sqlx::{
    PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction,
    pool::PoolConnection,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::lock::StoreLock;
pub use self::{
    postgres::{News, PostgresUri},
    query::{Row, query},
};
use super::error::StoreError;

/// Where a store is.
#[derive(Debug)]
pub enum Place {
    /// A folder, alone in it.
    Folder(PathBuf),
    /// A schema of its own in a PostgreSQL.
    Postgres(Box<PostgresUri>),
}

/// The open database; clones share it.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    /// Under this name it tells others.
    process: Arc<str>,
    /// Writers of this process wait here, and not with a connection each.
    turn: Arc<Mutex<()>>,
}

#[derive(Clone)]
enum Pools {
    Sqlite {
        writer: SqlitePool,
        reader: SqlitePool,
        _lock: Arc<StoreLock>,
    },
    Postgres(PgPool),
}

/// Runs queries; sees what is committed.
pub struct Session(Link);

/// Runs queries in a transaction, while no other process or task writes. Dropped, it changed
/// nothing.
pub struct Write {
    session: Session,
    process: Arc<str>,
    _turn: OwnedMutexGuard<()>,
}

enum Link {
    Sqlite(PoolConnection<Sqlite>),
    SqliteWrite(Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresWrite(Transaction<'static, Postgres>),
}

/// What a query is run on.
enum Raw<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl Database {
    /// Opens, and brings the tables to this version's.
    pub async fn open(place: &Place) -> Result<Self, StoreError> {
        let pools = match place {
            Place::Folder(folder) => sqlite::open(folder).await?,
            Place::Postgres(uri) => Pools::Postgres(postgres::open(uri).await?),
        };
        Ok(Self {
            pools,
            process: uuid::Uuid::now_v7().to_string().into(),
            turn: Arc::default(),
        })
    }

    /// No other process can have it open.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }

    pub async fn read(&self) -> Result<Session, StoreError> {
        Ok(Session(match &self.pools {
            Pools::Sqlite { reader, .. } => Link::Sqlite(reader.acquire().await?),
            Pools::Postgres(pool) => Link::Postgres(pool.acquire().await?),
        }))
    }

    /// Waits for its turn.
    pub async fn write(&self) -> Result<Write, StoreError> {
        let turn = self.turn.clone().lock_owned().await;
        let link = match &self.pools {
            Pools::Sqlite { writer, .. } => Link::SqliteWrite(writer.begin().await?),
            Pools::Postgres(pool) => Link::PostgresWrite(postgres::write(pool).await?),
        };
        Ok(Write {
            session: Session(link),
            process: self.process.clone(),
            _turn: turn,
        })
    }

    /// What other processes tell of; none where there can be no other.
    pub async fn news(&self) -> Result<Option<News>, StoreError> {
        match &self.pools {
            Pools::Sqlite { .. } => Ok(None),
            Pools::Postgres(pool) => Ok(Some(News::of(pool, &self.process).await?)),
        }
    }

    /// Makes freed pages go from the disk, as far as the database can be asked to.
    pub async fn forget_pages(&self) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => sqlite::forget_pages(writer).await,
            Pools::Postgres(pool) => postgres::forget_pages(pool).await,
        }
    }
}

impl Session {
    fn raw(&mut self) -> Raw<'_> {
        match &mut self.0 {
            Link::Sqlite(connection) => Raw::Sqlite(connection),
            Link::SqliteWrite(transaction) => Raw::Sqlite(transaction),
            Link::Postgres(connection) => Raw::Postgres(connection),
            Link::PostgresWrite(transaction) => Raw::Postgres(transaction),
        }
    }
}

impl Write {
    /// Makes it last, and tells other processes, whose `News` this becomes.
    pub async fn commit_and_tell(mut self) -> Result<(), StoreError> {
        if let Link::PostgresWrite(transaction) = &mut self.session.0 {
            postgres::tell(transaction, &self.process).await?;
        }
        self.commit().await
    }

    /// Makes it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.session.0 {
            Link::SqliteWrite(transaction) => transaction.commit().await?,
            Link::PostgresWrite(transaction) => transaction.commit().await?,
            Link::Sqlite(_) | Link::Postgres(_) => {}
        }
        Ok(())
    }
}

impl ops::Deref for Write {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl ops::DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}
