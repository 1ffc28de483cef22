//! Lets go of namespaces that an earlier selector of this operator chose and the present one does not.
//! While an operator runs nobody needs it: its claim says what it selects.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    error::{Error, Result, Verb},
    names::{CA, FIELD_MANAGER, LABEL_OPERATOR},
    share::Share,
};

/// Takes the claim from them. An operator of named namespaces has no rights left in the others.
pub async fn release(client: &Client, share: &Share) -> Result<()> {
    if !share.is_moving() {
        return Ok(());
    }
    let failed = |verb| move |error| Error::api(verb, "ConfigMap", CA, error);
    let mine = ListParams::default()
        .labels(&format!("{LABEL_OPERATOR}={}", share.me()))
        .fields(&format!("metadata.name={CA}"));
    let claims = Api::<ConfigMap>::all(client.clone())
        .list_metadata(&mine)
        .await
        .map_err(failed(Verb::List))?;
    for claim in claims.items {
        let namespace = claim.namespace().unwrap_or_default();
        if share.selects(&namespace) {
            continue;
        }
        tracing::info!(namespace, "let go: it is no longer selected");
        let patch = json!({"metadata": {
            "resourceVersion": claim.resource_version(),
            "labels": {LABEL_OPERATOR: null},
        }});
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PatchParams::default()
        };
        let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
        match api.patch_metadata(CA, &params, &Patch::Merge(&patch)).await {
            // Gone, or taken meanwhile.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            patched => drop(patched.map_err(failed(Verb::Patch))?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::release;
    use crate::{
        share::{Choice, NamespaceSelector, Share},
        testing::server::Server,
    };
    use http::Method;
    use prometheus_client::metrics::gauge::Gauge;
    use serde_json::{Value, json};

    fn claim(namespace: &str) -> Value {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "aios-ca", "namespace": namespace, "resourceVersion": "7"}})
    }

    #[tokio::test]
    async fn only_what_is_no_longer_selected_is_let_go_in_the_version_that_was_seen() {
        let server = Server::start(|request, _| match request.method() {
            &Method::GET => {
                let list = json!({"apiVersion": "meta.k8s.io/v1",
                    "kind": "PartialObjectMetadataList", "metadata": {},
                    "items": [claim("kept"), claim("left")]});
                (200, list)
            }
            _ => (200, claim("left")),
        });
        let selected = (Choice::Selected, NamespaceSelector::default());
        let (share, _arrivals) = Share::new("aios-a", selected, Gauge::default());
        share.gained("kept");
        release(&server.client, &share).await.unwrap();
        let sent = server.requests();
        assert!(
            sent[0].query.contains("aios.dev%2Foperator%3Daios-a"),
            "{}",
            sent[0].query
        );
        assert_eq!((sent.len(), sent[1].method.clone()), (2, Method::PATCH));
        assert!(sent[1].path.contains("/namespaces/left/configmaps/aios-ca"));
        let metadata = &sent[1].body["metadata"];
        assert_eq!(metadata["resourceVersion"], "7");
        assert_eq!(metadata["labels"], json!({"aios.dev/operator": null}));
    }
}
