{{/* Names are fixed: data planes dial the Service aios-operator, and one cluster holds one operator. */}}
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

{{/* One that serves named namespaces stands beside others in the cluster. */}}
{{- define "aios.clusterRole" -}}
aios-operator{{ if .Values.watchNamespaces }}-{{ .Release.Namespace }}{{ end }}
{{- end }}
