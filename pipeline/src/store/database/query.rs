//! A query that both databases understand: parameters `$1`, integers of 64 bits, text and bytes.

use sqlx::{Decode, Encode, Postgres, Row as _, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow};

use super::{Raw, Session};
use crate::store::error::StoreError;

/// SQL and what stands for its parameters.
pub struct Query {
    sql: &'static str,
    values: Vec<Value>,
}

/// Begins a query; `bind` its parameters in order.
pub fn query(sql: &'static str) -> Query {
    Query {
        sql,
        values: Vec::new(),
    }
}

/// A parameter, or NULL of its type.
pub enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// One row of an answer.
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can be read as.
pub trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl Query {
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Gives the number of rows that changed.
    pub async fn execute(self, on: &mut Session) -> Result<u64, StoreError> {
        Ok(match on.raw() {
            Raw::Sqlite(on) => self.of::<Sqlite>().execute(on).await?.rows_affected(),
            Raw::Postgres(on) => self.of::<Postgres>().execute(on).await?.rows_affected(),
        })
    }

    pub async fn all(self, on: &mut Session) -> Result<Vec<Row>, StoreError> {
        Ok(match on.raw() {
            Raw::Sqlite(on) => {
                let rows = self.of::<Sqlite>().fetch_all(on).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Raw::Postgres(on) => {
                let rows = self.of::<Postgres>().fetch_all(on).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub async fn optional(self, on: &mut Session) -> Result<Option<Row>, StoreError> {
        Ok(match on.raw() {
            Raw::Sqlite(on) => self
                .of::<Sqlite>()
                .fetch_optional(on)
                .await?
                .map(Row::Sqlite),
            Raw::Postgres(on) => {
                let row = self.of::<Postgres>().fetch_optional(on).await?;
                row.map(Row::Postgres)
            }
        })
    }

    pub async fn one(self, on: &mut Session) -> Result<Row, StoreError> {
        let row = self.optional(on).await?;
        row.ok_or(StoreError::Database(sqlx::Error::RowNotFound))
    }

    fn of<D: sqlx::Database>(self) -> sqlx::query::Query<'static, D, D::Arguments>
    where
        Option<i64>: for<'q> Encode<'q, D> + Type<D>,
        Option<String>: for<'q> Encode<'q, D> + Type<D>,
        Option<Vec<u8>>: for<'q> Encode<'q, D> + Type<D>,
    {
        self.values
            .into_iter()
            .fold(sqlx::query(self.sql), |query, value| match value {
                Value::Integer(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            })
    }
}

impl Row {
    pub fn get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A count or time; they are never negative.
    pub fn number(&self, column: usize) -> Result<u64, StoreError> {
        Ok(self.maybe_number(column)?.unwrap_or_default())
    }

    /// A count or time, unless it is NULL.
    pub fn maybe_number(&self, column: usize) -> Result<Option<u64>, StoreError> {
        let number: Option<i64> = self.get(column)?;
        Ok(number.map(|number| u64::try_from(number).unwrap_or_default()))
    }

    /// A flag, kept as 0 or 1.
    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.number(column)? != 0)
    }
}

/// Neither database has unsigned integers.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Some(value).into()
    }
}

impl From<Option<u64>> for Value {
    fn from(value: Option<u64>) -> Self {
        Self::Integer(value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<[u8; 32]> for Value {
    fn from(value: [u8; 32]) -> Self {
        Self::Bytes(Some(value.to_vec()))
    }
}
