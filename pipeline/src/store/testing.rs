//! Places for stores of tests: folders, and schemas of a PostgreSQL that the tests start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use aios_audit::LogKey;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::{Place, Store, StoreConfig};

/// Who owns the server's files when the tests run as root, which PostgreSQL refuses.
const NOBODY: u32 = 65534;

/// The databases that a store can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// Where a test's stores are. What is in it goes with it.
pub enum TestPlace {
    Folder(TempDir),
    Schema { server: Arc<Server>, name: String },
}

impl TestPlace {
    /// None where no PostgreSQL is installed.
    pub async fn new(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Sqlite => Some(Self::Folder(tempfile::tempdir().unwrap())),
            Kind::Postgres => Self::schema().await,
        }
    }

    async fn schema() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Some(server) = Server::shared() else {
            eprintln!("skipped: no PostgreSQL is installed (apt-get install postgresql)");
            return None;
        };
        let name = format!("tenant_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&server.uri()).await.unwrap();
        let sql = format!("CREATE SCHEMA {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        Some(Self::Schema { server, name })
    }

    pub fn config(&self, kek: u8) -> StoreConfig {
        StoreConfig {
            place: match self {
                Self::Folder(folder) => Place::Folder(folder.path().to_owned()),
                Self::Schema { server, name } => {
                    let uri = format!("{}&options[search_path]={name}", server.uri());
                    Place::Postgres(Box::new(uri.parse().unwrap()))
                }
            },
            tenant: "bank".into(),
            kek: [kek; 32],
            log_key: LogKey::new("aios.dev/bank/log", &[9; 32]).unwrap(),
        }
    }

    /// The folder, where there is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder.path()),
            Self::Schema { .. } => None,
        }
    }

    pub async fn open(&self) -> Store {
        Store::open(self.config(7)).await.unwrap()
    }
}

/// A PostgreSQL on a socket of its own; it ends with the last test that uses it.
pub struct Server {
    folder: TempDir,
    binaries: PathBuf,
}

impl Server {
    /// One for all tests that run at the same time.
    fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start(binaries()?));
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    fn start(binaries: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let server = Self { folder, binaries };
        if server.is_root() {
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let path = data.to_str().unwrap();
        server.run(
            "initdb",
            &[
                "-D",
                path,
                "-U",
                "aios",
                "-A",
                "trust",
                "--no-sync",
                "--no-locale",
            ],
        );
        let options = format!("-k {path} -c listen_addresses= -c fsync=off -c max_connections=300");
        let log = data.join("log");
        let log = log.to_str().unwrap();
        server.run(
            "pg_ctl",
            &["-D", path, "-l", log, "-o", &options, "-w", "start"],
        );
        server
    }

    fn uri(&self) -> String {
        let socket = self.folder.path().join("data");
        format!(
            "postgresql://aios@localhost/postgres?host={}",
            socket.display()
        )
    }

    fn is_root(&self) -> bool {
        fs::metadata(self.folder.path()).unwrap().uid() == 0
    }

    fn run<A: AsRef<OsStr>>(&self, binary: &str, arguments: &[A]) {
        let mut command = Command::new(self.binaries.join(binary));
        command.args(arguments).current_dir("/").env("LC_ALL", "C");
        // Whoever reads the tests' output must not wait for the server's end.
        command.stdout(std::process::Stdio::null());
        if self.is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let status = command.status().unwrap();
        assert!(status.success(), "{binary} failed: {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        self.run(
            "pg_ctl",
            &[
                OsStr::new("-D"),
                data.as_os_str(),
                OsStr::new("-mimmediate"),
                OsStr::new("stop"),
            ],
        );
    }
}

/// Debian keeps them out of the path.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = versions.flatten().map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .chain(std::env::split_paths(&path).collect::<Vec<_>>())
        .find(|folder: &PathBuf| has_server(folder))
}

fn has_server(folder: &Path) -> bool {
    folder.join("initdb").exists() && folder.join("pg_ctl").exists()
}
