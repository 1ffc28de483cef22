//! A real model served in the namespace: SmolLM2 on llama.cpp, its weights from a file server.

/// Of the model in the image `aios/weights`.
pub const DIGEST: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// A file server with the weights.
pub const WEIGHTS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: weights}
spec:
  selector: {matchLabels: {app: weights}}
  template:
    metadata: {labels: {app: weights}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: files
        image: aios/weights:dev
        imagePullPolicy: IfNotPresent
        readinessProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 1}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata: {name: weights}
spec: {selector: {app: weights}, ports: [{port: 8080, targetPort: 8080}]}
";

const MODEL: &str = "
apiVersion: aios.dev/v1alpha1
kind: ModelDeployment
metadata: {name: NAME}
spec:
  selfHosted:
    engine: {name: LlamaCpp, resources: {cpu: 100m, memory: 1Gi}}
    model:
      uri: http://weights:8080/SmolLM2-135M-Instruct.Q4_1.gguf
      digest: sha256:DIGEST
      cache: {size: 512Mi}
    warm: {standby: STANDBY}
  limits: {contextTokens: 1024, maxOutputTokens: 64, maxInFlight: 2}
  resilience: {timeout: 3m, firstTokenTimeout: 2m}
";

/// One replica, and so many that wait loaded.
pub fn model(name: &str, digest: &str, standby: u8) -> String {
    MODEL
        .replace("NAME", name)
        .replace("DIGEST", digest)
        .replace("STANDBY", &standby.to_string())
}

/// The quickstart's manifests, with `model` instead of the simulator's deployment as its writer.
pub fn written_by(manifests: &str, name: &str, model: &str) -> String {
    let route = format!("routes: [{{model: {name}}}]");
    let routed = manifests.replace("routes: [{model: writer}]", &route);
    debug_assert_ne!(
        routed, manifests,
        "the quickstart's writer has another name"
    );
    format!("{routed}\n---{WEIGHTS}---{model}")
}
