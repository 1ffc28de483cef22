{{/*
What the operator may do in a namespace that it serves. Each rule says why it is there.
No rule has `escalate`, `bind` or `impersonate`: the operator can give its gateways only what it
holds itself.
*/}}
{{- define "aios.rules" -}}
# Its own kinds: watched, and one that cannot be read is looked at again. It never writes a spec.
- apiGroups: [aios.dev]
  resources: [modeldeployments, policysets, writingpipelines, writingruns]
  verbs: [get, list, watch]
# The finalizer of models with GPU nodes, which must come off also once no GPU class is left.
- apiGroups: [aios.dev]
  resources: [modeldeployments]
  verbs: [patch]
# What it has seen of them.
- apiGroups: [aios.dev]
  resources:
    - modeldeployments/status
    - policysets/status
    - writingpipelines/status
    - writingruns/status
  verbs: [patch]
# Runs that a pipeline's triggers start. Those with ttlSecondsAfterFinished are deleted when their time is
# over, and a trigger's when newer ones have finished.
- apiGroups: [aios.dev]
  resources: [writingruns]
  verbs: [create, delete]
# Ingresses, groups of engines and gateways, of which those that are no longer wanted are removed.
# What has no `delete` below goes with the objects that own it.
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# Workers of runs, and the fetching of weights.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
# Why the workers of a run wait in a queue of Kueue's. Nothing of Kueue's is ever written.
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
# Models of engine KServe, which KServe runs where it is installed. Nothing of KServe's is watched.
- apiGroups: [serving.kserve.io]
  resources: [inferenceservices]
  verbs: [get, create, patch, delete]
# Addresses of models and gateways, and volumes for weights.
- apiGroups: [""]
  resources: [services, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
# Identities of pods.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
# Certificates and tenants' keys are made; providers' keys, tokens for weights and signing secrets are
# checked for being there. Secrets are watched by metadata only.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
# Templates and texts to index are read; the CA that tenants trust is written.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch]
# Which data planes there are, counted against those that confirm the configuration; why a prefetch
# failed.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# A loaded standby takes a lost group's place by its label; a group that lost a shard starts again.
- apiGroups: [""]
  resources: [pods]
  verbs: [patch, delete]
# Each gateway's own Role and who may connect to it.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Drains take gateways with PostgreSQL one pod at a time.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
# Held only to be given on to gateways, which ask whether a caller may create, approve or publish.
- apiGroups: [authorization.k8s.io]
  resources: [localsubjectaccessreviews]
  verbs: [create]
{{- if include "aios.headroom" . }}
# Room for the next pods of a GPU class, and the shape of those pods, in each namespace that uses it.
- apiGroups: [autoscaling.x-k8s.io]
  resources: [capacitybuffers]
  verbs: [get, list, create, patch, delete]
- apiGroups: [""]
  resources: [podtemplates]
  verbs: [get, create, patch]
{{- end }}
{{- if .Values.gpuClasses }}
# Why a pod gets no GPU node: what Karpenter says of it.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end }}
# A line in `kubectl describe` when Ready changes.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
