{{/* Names in a namespace are fixed: data planes dial the Service aios-operator, and a namespace holds one operator. */}}
{{- define "aios.labels" -}}
app.kubernetes.io/name: aios
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "aios.selector" -}}
app.kubernetes.io/name: aios
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* Called with (list $ repository). */}}
{{- define "aios.image" -}}
{{- $root := index . 0 -}}
{{- $images := $root.Values.images -}}
{{- with $images.registry }}{{ . }}/{{ end -}}
{{ index . 1 }}:{{ $images.tag | default $root.Chart.AppVersion }}
{{- end }}

{{/* "true" if a class makes its nodes with Karpenter. */}}
{{- define "aios.karpenter" -}}
{{- range .Values.gpuClasses }}{{ if ne (.nodes | default "Karpenter") "Existing" }}true{{ break }}{{ end }}{{ end -}}
{{- end }}

{{/* "true" if a class asks for headroom. */}}
{{- define "aios.headroom" -}}
{{- range .Values.gpuClasses }}{{ if .headroom }}true{{ break }}{{ end }}{{ end -}}
{{- end }}

{{/* One that serves some namespaces stands beside others in the cluster. */}}
{{- define "aios.clusterRole" -}}
{{- if and .Values.watchNamespaces .Values.namespaceSelector }}
{{- fail "set watchNamespaces or namespaceSelector, not both: names or labels say which namespaces a release serves" }}
{{- end -}}
aios-operator{{ if or .Values.watchNamespaces .Values.namespaceSelector }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{/* The selector as a condition of CEL over variable `labels`. */}}
{{- define "aios.selects" -}}
{{- $all := list }}
{{- range $key, $value := .Values.namespaceSelector.matchLabels }}
{{- $all = append $all (printf "(%s in variables.labels && variables.labels[%s] == %s)" (toJson $key) (toJson $key) (toJson $value)) }}
{{- end }}
{{- range .Values.namespaceSelector.matchExpressions }}
{{- $has := printf "%s in variables.labels" (toJson .key) }}
{{- $is := printf "(%s && variables.labels[%s] in %s)" $has (toJson .key) (toJson .values) }}
{{- if eq .operator "In" }}{{ $all = append $all $is }}{{ end }}
{{- if eq .operator "NotIn" }}{{ $all = append $all (printf "!%s" $is) }}{{ end }}
{{- if eq .operator "Exists" }}{{ $all = append $all (printf "(%s)" $has) }}{{ end }}
{{- if eq .operator "DoesNotExist" }}{{ $all = append $all (printf "!(%s)" $has) }}{{ end }}
{{- end }}
{{- join " && " $all }}
{{- end }}
