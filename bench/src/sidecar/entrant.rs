//! Who is measured: the sidecar as it ships, the floor, and gateways of others with shipped defaults plus only
//! what each needs to run.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use aios_e2e::{
    files,
    testing::{Running, control_plane::free_port},
};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio_util::sync::DropGuard;

use super::{
    cores::{GATEWAY, pinned},
    install::{self, Installed},
    ours::{self, Ports, Which},
    records,
};

/// Name of a peer's log.
const PEER: &str = "peer";
/// What the launcher of `TensorZero` says.
const LISTENS: &str = "listens at ";

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Entrant {
    /// The egress, one hop, everything off.
    AiosOff,
    /// The egress, one hop, everything on.
    AiosOn,
    /// Egress and ingress over mutual TLS, everything on.
    AiosOnTwoHops,
    Nginx,
    VllmRouter,
    SglangRouter,
    Smg,
    Tensorzero,
    Portkey,
    Litellm,
}

/// An entrant that runs.
pub struct Gateway {
    pub address: SocketAddr,
    /// What callers must say.
    pub headers: Vec<(String, String)>,
    pub model: String,
    /// Where it takes chat completions.
    pub path: &'static str,
    /// Ports of the metrics of ours.
    pub admin: Vec<u16>,
    processes: Vec<Running>,
    /// Who fetches its records.
    recorder: Option<DropGuard>,
}

/// Where most take chat completions.
pub const CHAT: &str = "/v1/chat/completions";

/// What it takes to start one.
pub struct Start<'a> {
    pub sidecar: &'a Path,
    pub installed: &'a BTreeMap<Entrant, Installed>,
    /// For its files and what it prints.
    pub folder: &'a Path,
    /// Where the simulator listens.
    pub model: u16,
}

impl Entrant {
    pub const ALL: [Self; 10] = [
        Self::AiosOff,
        Self::AiosOn,
        Self::AiosOnTwoHops,
        Self::Nginx,
        Self::VllmRouter,
        Self::SglangRouter,
        Self::Smg,
        Self::Tensorzero,
        Self::Portkey,
        Self::Litellm,
    ];

    pub const fn words(self) -> &'static str {
        match self {
            Self::AiosOff => "aios, off",
            Self::AiosOn => "aios, on",
            Self::AiosOnTwoHops => "aios, on, two hops",
            Self::Nginx => "nginx",
            Self::VllmRouter => "vllm-router",
            Self::SglangRouter => "sglang-router",
            Self::Smg => "smg",
            Self::Tensorzero => "tensorzero",
            Self::Portkey => "portkey",
            Self::Litellm => "litellm",
        }
    }

    pub const fn is_ours(self) -> bool {
        matches!(self, Self::AiosOff | Self::AiosOn | Self::AiosOnTwoHops)
    }

    /// Brings it onto this machine; none for what is built here.
    pub async fn install(self) -> Result<Option<Installed>> {
        let installed = match self {
            Self::AiosOff | Self::AiosOn | Self::AiosOnTwoHops => return Ok(None),
            Self::Nginx => install::nginx().await,
            Self::VllmRouter => install::python("vllm-router", "vllm-router==0.1.17").await,
            Self::SglangRouter => install::python("sglang-router", "sglang-router==0.3.2").await,
            Self::Smg => install::python("smg", "smg==1.13.0").await,
            Self::Tensorzero => install::python("tensorzero", "tensorzero==2026.6.0").await,
            Self::Portkey => install::node("@portkey-ai/gateway", "1.15.2").await,
            Self::Litellm => install::python("litellm", "litellm[proxy]==1.106.2").await,
        };
        installed.map(Some)
    }
}

impl Start<'_> {
    /// Starts it on the gateway's core.
    ///
    /// # Errors
    /// When it does not listen, with what it said.
    pub async fn start(&self, entrant: Entrant) -> Result<Gateway> {
        let port = free_port()?;
        let model = format!("http://127.0.0.1:{}", self.model);
        match entrant {
            Entrant::AiosOff => self.egress(&Which::Off).await,
            Entrant::AiosOn => self.egress(&Which::On).await,
            Entrant::AiosOnTwoHops => self.ours(&Which::On, ours::two_hops).await,
            Entrant::Nginx => {
                let program = self.folder_of(entrant)?.join("nginx");
                let config = self.folder.join("nginx.conf");
                fs::write(&config, nginx(self.folder, port, self.model))?;
                let mut nginx = pinned(GATEWAY, &program);
                nginx.arg("-e").arg("stderr");
                nginx.arg("-p").arg(self.folder).arg("-c").arg(config);
                self.peer(nginx, port, Vec::new()).await
            }
            Entrant::VllmRouter => {
                let mut router = self.router(entrant, "vllm_router", port, &model)?;
                router.args(["--prometheus-port", &free_port()?.to_string()]);
                self.peer(router, port, Vec::new()).await
            }
            Entrant::SglangRouter => {
                let mut router = self.router(entrant, "sglang_router", port, &model)?;
                router.args(["--prometheus-port", &free_port()?.to_string()]);
                self.peer(router, port, Vec::new()).await
            }
            Entrant::Smg => {
                let mut router = self.router(entrant, "smg", port, &model)?;
                router.args(["--prometheus-port", &free_port()?.to_string()]);
                self.peer(router, port, Vec::new()).await
            }
            Entrant::Tensorzero => {
                let config = self.folder.join("tensorzero.toml");
                fs::write(&config, tensorzero(&model))?;
                let mut launcher = self.python(entrant)?;
                launcher.arg(files::repository().join("bench/sidecar/start_tensorzero.py"));
                launcher.arg(config).arg(port.to_string());
                let gateway = self.peer(launcher, port, Vec::new()).await?;
                let said = fs::read_to_string(self.log(PEER))?;
                let own = said.lines().find_map(|line| line.strip_prefix(LISTENS));
                let own =
                    own.and_then(|url| url.split(['/', ':']).find_map(|part| part.parse().ok()));
                Ok(Gateway {
                    address: loopback(own.context("TensorZero does not say where it listens")?),
                    path: "/openai/v1/chat/completions",
                    model: "tensorzero::model_name::writer".to_owned(),
                    ..gateway
                })
            }
            Entrant::Portkey => {
                let mut node = pinned(GATEWAY, Path::new("node"));
                node.arg(self.folder_of(entrant)?.join("build/start-server.js"));
                node.arg(format!("--port={port}")).arg("--headless");
                node.env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1");
                let headers = [
                    ("x-portkey-provider", "openai".to_owned()),
                    ("x-portkey-custom-host", format!("{model}/v1")),
                    ("authorization", "Bearer sk-bench".to_owned()),
                ];
                self.peer(node, port, headers.into()).await
            }
            Entrant::Litellm => {
                let config = self.folder.join("litellm.yaml");
                fs::write(&config, litellm(&model))?;
                let mut proxy = self.python(entrant)?;
                proxy.arg(self.folder_of(entrant)?.join("bin/litellm"));
                proxy.arg("--config").arg(config);
                proxy.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
                proxy.args(["--num_workers", "1"]);
                proxy.env("LITELLM_MASTER_KEY", "sk-bench");
                let headers = [("authorization", "Bearer sk-bench".to_owned())];
                self.peer(proxy, port, headers.into()).await
            }
        }
    }

    /// The sidecar, one hop.
    pub async fn egress(&self, which: &Which) -> Result<Gateway> {
        self.ours(which, ours::one_hop).await
    }

    async fn ours(
        &self,
        which: &Which,
        hops: fn(&Path, &Which, Ports) -> Result<(ours::Everything, ours::Arguments)>,
    ) -> Result<Gateway> {
        let ports = Ports {
            egress: free_port()?,
            egress_admin: free_port()?,
            ingress: free_port()?,
            ingress_admin: free_port()?,
            model: self.model,
        };
        let (everything, arguments) = hops(self.folder, which, ports)?;
        let ingress = (arguments.ingress, ports.ingress, ports.ingress_admin);
        let egress = (arguments.egress, ports.egress, ports.egress_admin);
        let roles = [ingress, egress].into_iter();
        let roles = roles.filter(|(arguments, ..)| !arguments.is_empty());
        let gateway = self.roles(roles.collect()).await?;
        Ok(Gateway {
            headers: everything.headers.into_iter().collect(),
            model: everything.model,
            ..gateway
        })
    }

    /// Roles of the sidecar by their arguments and ports, the egress last.
    pub async fn roles(&self, roles: Vec<(Vec<String>, u16, u16)>) -> Result<Gateway> {
        let mut gateway = Gateway {
            address: loopback(0),
            headers: Vec::new(),
            model: String::new(),
            path: CHAT,
            admin: Vec::new(),
            processes: Vec::new(),
            recorder: None,
        };
        for (arguments, listens, admin) in roles {
            let mut role = pinned(GATEWAY, self.sidecar);
            role.args(arguments);
            let log = self.log(&listens.to_string());
            let running = Running::start(role, &log, listens).await?;
            gateway.processes.push(running);
            gateway.admin.push(admin);
            gateway.address = loopback(listens);
        }
        gateway.recorder = Some(records::fetch(gateway.address));
        Ok(gateway)
    }

    async fn peer(
        &self,
        command: Command,
        port: u16,
        headers: Vec<(&str, String)>,
    ) -> Result<Gateway> {
        let running = Running::start(command, &self.log(PEER), port).await?;
        let headers = headers.into_iter();
        Ok(Gateway {
            address: loopback(port),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            model: "writer".to_owned(),
            path: CHAT,
            admin: Vec::new(),
            processes: vec![running],
            recorder: None,
        })
    }

    /// A router of the family that all speak alike.
    fn router(&self, entrant: Entrant, module: &str, port: u16, model: &str) -> Result<Command> {
        let mut router = self.python(entrant)?;
        router.args(["-m", &format!("{module}.launch_router")]);
        router.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        router.args(["--worker-urls", model, "--policy", "round_robin"]);
        Ok(router)
    }

    fn python(&self, entrant: Entrant) -> Result<Command> {
        let mut python = pinned(GATEWAY, Path::new("python3"));
        python.env("PYTHONPATH", self.folder_of(entrant)?);
        Ok(python)
    }

    fn folder_of(&self, entrant: Entrant) -> Result<&Path> {
        let installed = self.installed.get(&entrant);
        let installed = installed.with_context(|| format!("{} is missing", entrant.words()))?;
        Ok(&installed.folder)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

impl Gateway {
    /// What stands before the usual path.
    pub fn prefix(&self) -> &'static str {
        self.path.strip_suffix(CHAT).unwrap_or_default()
    }

    /// Numbers of its processes.
    pub fn ids(&self) -> Result<Vec<u32>> {
        self.processes.iter().map(Running::id).collect()
    }

    pub async fn stop(self) -> Result<()> {
        drop(self.recorder);
        for process in self.processes {
            process.stop().await?;
        }
        Ok(())
    }
}

pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A bare reverse proxy in one process, with kept connections and nothing written to disk.
fn nginx(folder: &Path, port: u16, model: u16) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
           access_log off; client_max_body_size 10m; client_body_buffer_size 1m;\n\
           client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;\n\
           scgi_temp_path {folder}/scgi; keepalive_requests 1000000;\n\
           upstream model {{\n\
             server 127.0.0.1:{model}; keepalive 256; keepalive_requests 1000000;\n\
           }}\n\
           server {{\n\
             listen 127.0.0.1:{port};\n\
             location / {{\n\
               proxy_pass http://model; proxy_http_version 1.1;\n\
               proxy_set_header Connection \"\"; proxy_buffering off;\n\
             }}\n\
           }}\n\
         }}\n"
    )
}

/// Without a database of its own nothing can be observed.
fn tensorzero(model: &str) -> String {
    format!(
        "[gateway]\nobservability.enabled = false\ndisable_pseudonymous_usage_analytics = true\n\
         [models.writer]\nrouting = [\"simulator\"]\n\
         [models.writer.providers.simulator]\ntype = \"openai\"\nmodel_name = \"writer\"\n\
         api_base = \"{model}/v1/\"\napi_key_location = \"none\"\n"
    )
}

fn litellm(model: &str) -> String {
    format!(
        "model_list:\n\
         - model_name: writer\n  \
           litellm_params:\n    \
             model: openai/writer\n    \
             api_base: {model}/v1\n    \
             api_key: sk-bench\n"
    )
}
