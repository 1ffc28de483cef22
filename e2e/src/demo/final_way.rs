//! How the pods of a local cluster reach the final model's endpoint: they see nothing but their
//! node, so the node takes the endpoint's name and port.

use std::fs;

use anyhow::{Context, Result, bail};
use reqwest::Url;

use super::settings::FinalModel;
use crate::Cluster;
use crate::node::{NODE_IP, relay::WayOut};
use crate::provider::Provider;

/// Where pods find the endpoint, and what keeps the way there open.
pub struct FinalWay {
    pub base_url: String,
    _open: Option<WayOut>,
}

/// What is to be opened for an address.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Address as pods use it.
    base_url: String,
    /// Of the node, and of the endpoint.
    port: u16,
    /// What the host connects to.
    target: String,
    /// Name that pods are to resolve to the node.
    name: Option<String>,
}

/// Opens the way; on other clusters pods go by themselves.
pub async fn open(cluster: &Cluster, chosen: &FinalModel) -> Result<FinalWay> {
    let options = cluster.options();
    if options.provider != Provider::Local {
        return Ok(FinalWay {
            base_url: chosen.base_url.clone(),
            _open: None,
        });
    }
    let plan = plan(&chosen.base_url)?;
    if let Some(name) = &plan.name {
        let hosts = options.dir.etc().join("hosts");
        fs::write(&hosts, format!("{NODE_IP} {name}\n"))
            .with_context(|| format!("cannot write {}", hosts.display()))?;
    }
    let open = WayOut::open(&options.dir.dial_socket(), plan.port, &plan.target).await?;
    Ok(FinalWay {
        base_url: plan.base_url,
        _open: Some(open),
    })
}

fn plan(base_url: &str) -> Result<Plan> {
    let url = Url::parse(base_url).with_context(|| format!("AIOS_FINAL_BASE_URL={base_url}"))?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        bail!("AIOS_FINAL_BASE_URL={base_url}: there is no host");
    };
    let target = format!("{host}:{port}");
    let is_name = host.contains('.') && host.parse::<std::net::Ipv4Addr>().is_err();
    if is_name {
        return Ok(Plan {
            base_url: base_url.to_owned(),
            port,
            target,
            name: Some(host.to_owned()),
        });
    }
    if url.scheme() == "https" {
        bail!(
            "AIOS_FINAL_BASE_URL={base_url}: pods reach it under another address, for which its \
             certificate is not valid: use its full DNS name, or http"
        );
    }
    let rest = url.path().trim_end_matches('/');
    Ok(Plan {
        base_url: format!("http://{NODE_IP}:{port}{rest}"),
        port,
        target,
        name: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_as_it_is_and_is_resolved_to_the_node() {
        let plan = plan("https://models.example.com/v1").unwrap();
        assert_eq!(plan.base_url, "https://models.example.com/v1");
        assert_eq!(plan.name.as_deref(), Some("models.example.com"));
        assert_eq!(
            (plan.port, plan.target.as_str()),
            (443, "models.example.com:443")
        );
    }

    #[test]
    fn an_address_of_this_machine_becomes_the_nodes() {
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let plan = plan(&format!("http://{host}:8080/v1")).unwrap();
            assert_eq!(plan.base_url, "http://192.0.2.10:8080/v1");
            assert_eq!((plan.name, plan.target), (None, format!("{host}:8080")));
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_checked_is_refused_with_the_remedy() {
        let error = plan("https://127.0.0.1/v1").unwrap_err().to_string();
        assert!(error.contains("full DNS name"), "{error}");
    }
}
