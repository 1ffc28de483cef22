//! Who is asked in trials, and the models behind: of the sidecar two, each trial with a pipeline and a budget of its
//! own; of others one.

use aios_e2e::testing::control_plane::free_port;
use aios_proto::control::{ItemKind, Snapshot};
use aios_simulator::trial::{
    self, MODELS, Model, Patience, Script, deployment, model_name, pipeline, policy, tenant,
};
use anyhow::Result;

use crate::sidecar::{
    entrant::{Entrant, Gateway, Start},
    ours::{Secrets, arguments, item, written},
};

pub struct Stage {
    pub gateway: Gateway,
    pub models: Vec<Model>,
    /// Whether every trial has its own.
    pub has_budgets: bool,
}

impl Stage {
    /// The sidecar: an egress, and with two hops an ingress for each model.
    pub async fn of_sidecar(start: Start<'_>, scripts: &[Script], hops: usize) -> Result<Self> {
        let (mut models, mut items, mut ingresses) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..MODELS {
            let server = Model::start(number).await?;
            let upstream = format!("http://{}", server.address);
            for patience in [Patience::Short, Patience::Long] {
                let which = (number, patience, hops);
                let endpoint = if hops == 1 {
                    upstream.clone()
                } else {
                    let port = free_port()?;
                    ingresses.push((model_name(number, patience, hops), port));
                    format!("https://127.0.0.1:{port}")
                };
                let body = deployment(which, &endpoint, &upstream);
                items.push(item(ItemKind::Model, &body)?);
            }
            models.push(server);
        }
        let policy = item(ItemKind::Policy, &policy())?;
        for script in scripts {
            let body = pipeline(script, hops, &policy.digest);
            items.push(item(ItemKind::Pipeline, &body)?);
        }
        items.push(policy);
        let config = written(start.folder, &Snapshot { sequence: 1, items })?;
        let secrets = Secrets::new(start.folder)?;
        let mut roles = Vec::new();
        for (model, port) in ingresses {
            let admin = free_port()?;
            roles.push((secrets.ingress((port, admin), &config, &model), port, admin));
        }
        let (port, admin) = (free_port()?, free_port()?);
        let egress = if hops == 1 {
            arguments("egress", (port, admin), &config)
        } else {
            secrets.egress((port, admin), &config)
        };
        roles.push((egress, port, admin));
        let mut gateway = start.roles(roles).await?;
        "auto".clone_into(&mut gateway.model);
        Ok(Self {
            gateway,
            models,
            has_budgets: true,
        })
    }

    pub async fn of_peer(start: Start<'_>, entrant: Entrant) -> Result<Self> {
        let model = Model::start(0).await?;
        let start = Start {
            model: model.address.port(),
            ..start
        };
        Ok(Self {
            gateway: start.start(entrant).await?,
            models: vec![model],
            has_budgets: false,
        })
    }

    /// Whom the caller of a trial asks, and how.
    pub fn asked(&self, script: &Script) -> trial::Gateway {
        let mut headers = self.gateway.headers.clone();
        if self.has_budgets {
            headers.push(("aios-pipeline".to_owned(), tenant(script)));
        }
        trial::Gateway {
            address: self.gateway.address,
            prefix: self.gateway.prefix(),
            model: self.gateway.model.clone(),
            headers,
        }
    }
}
