//! The cluster and namespace of a call, and the gateway as the caller.

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client, Config, api::PostParams, config::KubeConfigOptions};

use crate::{
    cli::Global,
    client::{Auth, Gateway},
};

pub struct Session {
    pub client: Client,
    pub namespace: String,
    auth: Option<Auth>,
}

impl Session {
    /// Reads the kubeconfig, or the pod's own account inside a cluster.
    pub async fn open(global: &Global) -> Result<Self> {
        // Another provider in the process is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = match &global.context {
            Some(context) => {
                let options = KubeConfigOptions {
                    context: Some(context.clone()),
                    ..KubeConfigOptions::default()
                };
                Config::from_kubeconfig(&options).await.with_context(|| {
                    format!("context {context} cannot be used: see `kubectl config get-contexts`")
                })?
            }
            None => Config::infer()
                .await
                .context("no cluster: set KUBECONFIG or --context, as for kubectl")?,
        };
        let namespace = global
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let auth = match (&global.token, &global.as_service_account) {
            (Some(token), _) => Some(Auth::Token(token.clone())),
            (None, Some(name)) => Some(Auth::ServiceAccount(name.clone())),
            (None, None) => None,
        };
        let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
        Ok(Self {
            client,
            namespace,
            auth,
        })
    }

    /// Who the cluster takes the caller for, as `kubectl auth whoami` says it.
    pub async fn user_name(&self) -> Result<String> {
        let review: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let answer = review
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
            .context("the cluster does not say who you are: see `kubectl auth whoami`")?;
        answer
            .status
            .and_then(|status| status.user_info)
            .and_then(|user| user.username)
            .context("the cluster takes you for nobody: log in first")
    }

    pub fn speaks_as(&self) -> Option<&Auth> {
        self.auth.as_ref()
    }

    pub async fn gateway(&self) -> Result<Gateway> {
        let auth = self.auth.clone().context(
            "the gateway wants to know who asks: pass --as-service-account NAME (or set \
             AIOS_SERVICE_ACCOUNT), or --token from `kubectl create token NAME --audience aios`",
        )?;
        Ok(Gateway::connect(self.client.clone(), &self.namespace, auth).await?)
    }
}
