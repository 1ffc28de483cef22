//! A cluster for one test that changes what all tests of a cluster share. It ends with its value.

use std::process::Command;

use anyhow::Result;

use super::Cluster;
use super::cluster::{asked, bring_up};
use super::namespace::KEEP;
use crate::images::Image;
use crate::provider::Options;

pub struct OwnCluster {
    cluster: Cluster,
    name: String,
}

impl OwnCluster {
    /// Brings up a cluster beside the shared one, named after it, with these images.
    ///
    /// # Errors
    /// If it cannot be brought up, with the remedy.
    pub async fn up(suffix: &str, images: &[Image]) -> Result<Self> {
        let name = format!("{}-{suffix}", super::cluster::shared_name());
        bring_up(&name, &["--no-images"]).await?;
        let cluster = Cluster::attach(Options::named(&name)?).await;
        let own = Self {
            cluster: cluster?,
            name,
        };
        for image in images {
            own.cluster.load(*image).await?;
        }
        Ok(own)
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        if std::env::var_os(KEEP).is_some() {
            eprintln!("cluster {} stays up", self.name);
            return;
        }
        let mut down: Command = asked("down", &self.name, &[]);
        if !down.status().is_ok_and(|status| status.success()) {
            eprintln!("cluster {} was not taken down", self.name);
        }
    }
}
