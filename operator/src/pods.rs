//! What all pods of data planes share: the security that Pod Security `restricted` asks for, the
//! files that lead to the operator, and the egress sidecar.

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapProjection, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
        EnvVarSource, HTTPGetAction, KeyToPath, ObjectFieldSelector, PodSecurityContext, Probe,
        ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecretProjection,
        SecretVolumeSource, SecurityContext, ServiceAccountTokenProjection, Volume, VolumeMount,
        VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

use crate::{ca::CA_CRT, control::AUDIENCE, names, settings::Settings};

const USER: i64 = 65_532;
/// Where the way to the operator is mounted: CA, token, and the tenant's client certificate.
const CONTROL: &str = "/var/run/aios/control";
const SERVING: &str = "/var/run/aios/serving";
/// Key and file of the configuration to start with.
pub const SNAPSHOT: &str = "snapshot.json";
/// The kubelet refreshes the token at 80 % of this.
const TOKEN_SECONDS: i64 = 3600;

pub const HTTPS: &str = "https";
pub const WORK: &str = "work";
pub const ADMIN: &str = "admin";
pub const HTTPS_PORT: i32 = 8443;
pub const WORK_PORT: i32 = 8444;
pub const ADMIN_PORT: i32 = 9090;
/// The egress stands in pods whose first container already listens on the admin port.
const EGRESS_ADMIN_PORT: i32 = 9091;

pub fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".into(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

pub fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".into()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

pub fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar {
        name: name.into(),
        value: Some(value.into()),
        ..EnvVar::default()
    }
}

pub fn field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.into(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: path.into(),
                api_version: Some("v1".into()),
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// How a process finds the operator and proves who it is.
pub fn control_env(settings: &Settings, namespace: &str) -> Vec<EnvVar> {
    vec![
        env("AIOS_OPERATOR_URI", settings.operator_uri()),
        env("AIOS_CA_FILE", format!("{CONTROL}/{CA_CRT}")),
        env("AIOS_CONTROL_TOKEN_FILE", format!("{CONTROL}/token")),
        env("AIOS_CONFIG_FILE", format!("{CONTROL}/{SNAPSHOT}")),
        env("AIOS_NAMESPACE", namespace),
        field("AIOS_POD_NAME", "metadata.name"),
    ]
}

/// Where sidecars send spans.
pub fn trace_env(settings: &Settings) -> Option<EnvVar> {
    let endpoint = settings.otlp_endpoint.as_ref()?;
    Some(env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint))
}

/// The client certificate of hops inside the tenant.
pub fn client_env() -> Vec<EnvVar> {
    vec![
        env("AIOS_CLIENT_CERT_FILE", format!("{CONTROL}/client.crt")),
        env("AIOS_CLIENT_KEY_FILE", format!("{CONTROL}/client.key")),
    ]
}

/// The certificate of the pod's own server.
pub fn serving_env() -> Vec<EnvVar> {
    vec![
        env("AIOS_TLS_CERT_FILE", format!("{SERVING}/tls.crt")),
        env("AIOS_TLS_KEY_FILE", format!("{SERVING}/tls.key")),
    ]
}

/// CA and token, with the tenant's client certificate if the pod dials inside the tenant.
pub fn control_volume(client: bool) -> Volume {
    let mut sources = vec![
        VolumeProjection {
            service_account_token: Some(ServiceAccountTokenProjection {
                audience: Some(AUDIENCE.into()),
                expiration_seconds: Some(TOKEN_SECONDS),
                path: "token".into(),
            }),
            ..VolumeProjection::default()
        },
        VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: names::CA.into(),
                items: Some(vec![item(CA_CRT, CA_CRT)]),
                optional: None,
            }),
            ..VolumeProjection::default()
        },
        VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: names::BOOTSTRAP.into(),
                items: Some(vec![item(SNAPSHOT, SNAPSHOT)]),
                // The first pods of a namespace start before anything is offered.
                optional: Some(true),
            }),
            ..VolumeProjection::default()
        },
    ];
    if client {
        sources.push(VolumeProjection {
            secret: Some(SecretProjection {
                name: names::CLIENT_TLS.into(),
                items: Some(vec![
                    item("tls.crt", "client.crt"),
                    item("tls.key", "client.key"),
                ]),
                optional: None,
            }),
            ..VolumeProjection::default()
        });
    }
    Volume {
        name: "control".into(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources),
            default_mode: Some(0o440),
        }),
        ..Volume::default()
    }
}

pub fn control_mount() -> VolumeMount {
    mount("control", CONTROL, true)
}

pub fn serving_volume(secret: &str) -> Volume {
    secret_volume(
        "serving",
        secret,
        &[("tls.crt", "tls.crt"), ("tls.key", "tls.key")],
    )
}

pub fn serving_mount() -> VolumeMount {
    mount("serving", SERVING, true)
}

/// Chosen keys of a Secret as files.
pub fn secret_volume(name: &str, secret: &str, keys: &[(&str, &str)]) -> Volume {
    Volume {
        name: name.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.into()),
            items: Some(keys.iter().map(|(key, path)| item(key, path)).collect()),
            default_mode: Some(0o440),
            optional: None,
        }),
        ..Volume::default()
    }
}

/// Scratch space, for the root file system is read-only.
pub fn scratch_volume() -> Volume {
    Volume {
        name: "tmp".into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}

pub fn scratch_mount() -> VolumeMount {
    mount("tmp", "/tmp", false)
}

pub fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

pub fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

/// Asks an admin endpoint.
pub fn probe(path: &str, port: IntOrString, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port,
            scheme: Some("HTTP".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

pub fn named(port: &str) -> IntOrString {
    IntOrString::String(port.into())
}

/// Requests of small processes; the memory limit keeps a leak from taking its neighbours along.
pub fn resources(cpu: &str, memory: &str, limit: &str) -> ResourceRequirements {
    let quantity = |name: &str, value: &str| (name.to_owned(), Quantity(value.to_owned()));
    ResourceRequirements {
        requests: Some([quantity("cpu", cpu), quantity("memory", memory)].into()),
        limits: Some([quantity("memory", limit)].into()),
        claims: None,
    }
}

/// The egress beside a gateway or worker: a native sidecar, up before the first container starts.
pub fn egress(settings: &Settings, namespace: &str) -> Container {
    let admin = IntOrString::Int(EGRESS_ADMIN_PORT);
    let mut variables = control_env(settings, namespace);
    variables.extend(client_env());
    variables.push(env(
        "AIOS_ADMIN_ADDRESS",
        format!("0.0.0.0:{EGRESS_ADMIN_PORT}"),
    ));
    variables.push(env("AIOS_CACHE_FILE", "/tmp/snapshot.json"));
    variables.extend(trace_env(settings));
    Container {
        name: "egress".into(),
        image: Some(settings.image_sidecar.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(vec!["egress".into()]),
        env: Some(variables),
        ports: Some(vec![port("egress-admin", EGRESS_ADMIN_PORT)]),
        restart_policy: Some("Always".into()),
        // Live, not ready: a gateway must start also while the operator is away.
        startup_probe: Some(probe("/healthz", admin.clone(), 1, 60)),
        readiness_probe: Some(probe("/readyz", admin.clone(), 2, 3)),
        liveness_probe: Some(probe("/healthz", admin, 10, 3)),
        security_context: Some(container_security()),
        resources: Some(resources("20m", "32Mi", "256Mi")),
        volume_mounts: Some(vec![control_mount(), scratch_mount()]),
        ..Container::default()
    }
}

fn item(key: &str, path: &str) -> KeyToPath {
    KeyToPath {
        key: key.into(),
        path: path.into(),
        mode: None,
    }
}

#[cfg(test)]
mod tests {
    use super::egress;
    use crate::testing::settings;

    #[test]
    fn spans_are_sent_where_a_collector_is_named_and_nowhere_else() {
        let mut settings = settings();
        let named = |settings: &_| {
            let variables = egress(settings, "team").env.unwrap_or_default();
            let named = variables
                .into_iter()
                .find(|variable| variable.name == "OTEL_EXPORTER_OTLP_ENDPOINT");
            named.and_then(|variable| variable.value)
        };
        assert_eq!(named(&settings), None);
        settings.otlp_endpoint = Some("http://collector:4318".into());
        assert_eq!(named(&settings).as_deref(), Some("http://collector:4318"));
    }
}
