//! Opening: the database, keys, epoch, and the tree rebuilt from its leaves.

use std::{sync::Arc, time::Duration};

use aios_audit::{Log, LogKey};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    database::{Database, News, Place, Session, Write, query},
    error::StoreError,
    tree::Tree,
    vault::Vault,
};

/// Word of other processes may be lost without a sign; then leaves are looked for.
const LOOK: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_secs(1);

/// What a store needs.
#[derive(Debug)]
pub struct StoreConfig {
    pub place: Place,
    /// The tenant: a namespace.
    pub tenant: String,
    /// The tenant's key.
    pub kek: [u8; 32],
    /// Signs checkpoints and provenance.
    pub log_key: LogKey,
}

/// The open store.
pub struct Store {
    pub(super) database: Database,
    pub(super) vault: Vault,
    pub(super) tenant: String,
    pub(super) log_key: LogKey,
    pub(super) tree: Arc<Tree>,
    epoch: u64,
    /// Ends those who listen.
    _ends: DropGuard,
}

impl Store {
    /// Opens or creates; a folder is refused while another process has it open.
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let StoreConfig {
            place,
            tenant,
            kek,
            log_key,
        } = config;
        let database = Database::open(&place).await?;
        let vault = Vault::new(&kek)?;
        let mut write = database.write().await?;
        check_key(&mut write, &vault).await?;
        let epoch = next_epoch(&mut write).await?;
        if database.is_exclusive() {
            // Nobody holds the gateway's own leases any more; workers keep theirs.
            query("UPDATE documents SET lease_until_ms = 0 WHERE lane = 'gateway'")
                .execute(&mut write)
                .await?;
        }
        write.commit().await?;
        let ends = CancellationToken::new();
        let tree = Arc::new(Tree::default());
        if let Some(news) = database.news().await? {
            let listening = listen(news, database.clone(), tree.clone());
            tokio::spawn(ends.clone().run_until_cancelled_owned(listening));
            let looking = look(database.clone(), tree.clone());
            tokio::spawn(ends.clone().run_until_cancelled_owned(looking));
        }
        tree.catch_up(&database).await?;
        Ok(Self {
            database,
            vault,
            tenant,
            log_key,
            tree,
            epoch,
            _ends: ends.drop_guard(),
        })
    }

    /// Grows with every opening: intents of other epochs may have been sent by somebody else.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Keyed hashes and subjects.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The tenant's signing key.
    pub fn log_key(&self) -> &LogKey {
        &self.log_key
    }

    /// Sends the number of leaves whenever it grew.
    pub fn log_size(&self) -> watch::Receiver<u64> {
        self.tree.size()
    }

    /// Sends whenever a document changed, also through another gateway.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.tree.changes()
    }

    /// Reads the tree.
    pub fn with_log<T>(&self, read: impl FnOnce(&Log) -> T) -> T {
        self.tree.read(read)
    }

    /// Makes it last and tells who waits, here and elsewhere.
    pub(super) async fn commit_and_tell(&self, write: Write) -> Result<(), StoreError> {
        write.commit_and_tell().await?;
        see(&self.database, &self.tree).await;
        Ok(())
    }
}

/// Follows what other processes commit.
async fn listen(mut news: News, database: Database, tree: Arc<Tree>) {
    loop {
        if let Err(error) = news.next().await {
            tracing::warn!(%error, "no word of other gateways");
            tokio::time::sleep(RETRY).await;
        }
        see(&database, &tree).await;
    }
}

async fn look(database: Database, tree: Arc<Tree>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let before = tree.read(Log::size);
        if let Err(error) = tree.catch_up(&database).await {
            tracing::warn!(%error, "the log cannot be read");
        }
        if tree.read(Log::size) != before {
            tree.announce();
        }
    }
}

/// What was committed lasts, whether it can be read now or only the next time.
async fn see(database: &Database, tree: &Tree) {
    if let Err(error) = tree.catch_up(database).await {
        tracing::warn!(%error, "the log cannot be read");
    }
    tree.announce();
}

/// Proves that the tenant's key is the one this store was made with.
async fn check_key(write: &mut Session, vault: &Vault) -> Result<(), StoreError> {
    let proof = vault.hash("store/proof", &[]);
    let stored = query("SELECT value FROM meta WHERE name = 'key-proof'")
        .optional(write)
        .await?;
    match stored {
        Some(row) if row.get::<Vec<u8>>(0)? == proof => Ok(()),
        Some(_) => Err(StoreError::WrongKey),
        None => {
            query("INSERT INTO meta (name, value) VALUES ('key-proof', $1)")
                .bind(proof)
                .execute(write)
                .await?;
            Ok(())
        }
    }
}

async fn next_epoch(write: &mut Session) -> Result<u64, StoreError> {
    let stored: Option<Vec<u8>> = query("SELECT value FROM meta WHERE name = 'epoch'")
        .optional(write)
        .await?
        .map(|row| row.get(0))
        .transpose()?;
    let last = stored
        .and_then(|bytes| <[u8; 8]>::try_from(bytes).ok())
        .map_or(0, u64::from_be_bytes);
    let epoch = last + 1;
    query(
        "INSERT INTO meta (name, value) VALUES ('epoch', $1)
         ON CONFLICT (name) DO UPDATE SET value = $1",
    )
    .bind(epoch.to_be_bytes().to_vec())
    .execute(write)
    .await?;
    Ok(epoch)
}
