{{- define "bellmetal.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "bellmetal.fullname" -}}
{{- $name := include "bellmetal.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "bellmetal.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "bellmetal.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What follows takes (list $ "controller") or (list $ "speaker"). */}}

{{- define "bellmetal.program" -}}
{{- printf "%s-%s" (include "bellmetal.fullname" (first .)) (last .) }}
{{- end }}

{{- define "bellmetal.programLabels" -}}
{{ include "bellmetal.labels" (first .) }}
app.kubernetes.io/component: {{ last . }}
app: metallb
component: {{ last . }}
{{- end }}

{{- define "bellmetal.selector" -}}
app.kubernetes.io/name: {{ include "bellmetal.name" (first .) }}
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "bellmetal.serviceAccount" -}}
{{- $account := (index (first .).Values (last .)).serviceAccount }}
{{- default (ternary (include "bellmetal.program" .) "default" $account.create) $account.name }}
{{- end }}

{{- define "bellmetal.image" -}}
{{- $root := first . -}}
{{- $image := deepCopy $root.Values.image -}}
{{- range $key, $value := (index $root.Values (last .)).image -}}
{{- if $value -}}
{{- $_ := set $image $key $value -}}
{{- end -}}
{{- end -}}
image: {{ printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end }}

{{- define "bellmetal.podMetadata" -}}
{{- $root := first . -}}
{{- $values := index $root.Values (last .) -}}
labels:
  {{- include "bellmetal.programLabels" . | nindent 2 }}
  {{- with $values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict }}
{{- if and $root.Values.prometheus.scrapeAnnotations $root.Values.prometheus.metricsPort }}
{{- $port := $root.Values.prometheus.metricsPort | int | toString }}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" $port }}
{{- end }}
{{- with mergeOverwrite $annotations $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "bellmetal.scheduling" -}}
{{- $root := first . -}}
{{- $values := index $root.Values (last .) -}}
nodeSelector:
  kubernetes.io/os: linux
  {{- with $values.nodeSelector }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "bellmetal.ports" -}}
{{- $values := (first .).Values -}}
{{- $webhook := and (eq (last .) "controller") $values.controller.admission.enabled }}
{{- if or $values.prometheus.metricsPort $webhook }}
ports:
{{- with $values.prometheus.metricsPort }}
- {name: monitoring, containerPort: {{ int . }}}
{{- end }}
{{- if $webhook }}
- {name: webhook, containerPort: {{ int $values.controller.admission.port }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "bellmetal.healthArgument" -}}
{{- $port := include "bellmetal.probePort" (index (first .).Values (last .)).readinessProbe }}
{{- if ne $port "17472" }}
- --health-probe-port={{ $port }}
{{- end }}
{{- end }}

{{- define "bellmetal.admissionSecret" -}}
{{- default (printf "%s-admission" (include "bellmetal.fullname" .)) .Values.controller.admission.existingSecret }}
{{- end }}

{{- define "bellmetal.memberSecret" -}}
{{- default "memberlist" .Values.speaker.secretName }}
{{- end }}

{{/* Takes a probe. */}}
{{- define "bellmetal.probePort" -}}
{{- default 17472 .port | int }}
{{- end }}

{{/* Takes (list VALUES-OF-A-PROGRAM HOST), the host being empty for the pod's own address. */}}
{{- define "bellmetal.probes" -}}
{{- $host := last . -}}
{{- range $kind, $path := dict "livenessProbe" "/healthz" "readinessProbe" "/readyz" }}
{{- $probe := index (first $) $kind }}
{{- if $probe.enabled }}
{{ $kind }}:
  httpGet:
    path: {{ $path }}
    port: {{ include "bellmetal.probePort" $probe }}
    {{- with $host }}
    host: {{ . }}
    {{- end }}
  {{- toYaml (omit $probe "enabled" "port") | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
