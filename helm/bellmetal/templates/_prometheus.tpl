{{/* Whether the Prometheus Operator is to scrape, and by what; fails where that cannot be. */}}
{{- define "bellmetal.monitor" -}}
{{- $prometheus := .Values.prometheus -}}
{{- $pods := $prometheus.podMonitor.enabled -}}
{{- $services := $prometheus.serviceMonitor.enabled -}}
{{- if and $pods $services -}}
{{- fail "prometheus.serviceMonitor.enabled and prometheus.podMonitor.enabled cannot both be set: everything would be scraped twice. Leave one of them out." -}}
{{- end -}}
{{- if and (or $pods $services) (not $prometheus.metricsPort) -}}
{{- fail "prometheus.metricsPort is 0, so there is nothing to scrape: set a port, or leave prometheus.serviceMonitor.enabled and prometheus.podMonitor.enabled out." -}}
{{- end -}}
{{- if $pods }}pods{{ else if $services }}services{{ end -}}
{{- end }}

{{/* How /metrics is scraped. Takes (list $ VALUES), the values being a monitor's. */}}
{{- define "bellmetal.endpoint" -}}
port: monitoring
path: /metrics
scheme: http
# metallb_speaker_announced has labels "service" and "node" of its own.
honorLabels: true
{{- with (last .).interval }}
interval: {{ . }}
{{- end }}
{{- with (last .).metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with (last .).relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Labels of a monitor of a program, with the additional ones. Takes (list $ PROGRAM VALUES). */}}
{{- define "bellmetal.monitorMetadata" -}}
{{- $root := first . -}}
{{- $me := list $root (index . 1) -}}
{{- $values := last . -}}
name: {{ include "bellmetal.program" $me }}-monitor
namespace: {{ $root.Release.Namespace }}
labels:
  {{- merge (deepCopy (default dict $values.additionalLabels)) (include "bellmetal.programLabels" $me | fromYaml) | toYaml | nindent 2 }}
{{- with $values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The key of an alert in prometheus.prometheusRule: its name without the first word. */}}
{{- define "bellmetal.alertKey" -}}
{{- $name := regexReplaceAll "^(MetalLB|Bellmetal)" . "" | trimSuffix "PERCENTPercent" -}}
{{- $name | replace "BGP" "Bgp" | replace "BFD" "Bfd" | untitle -}}
{{- end }}

{{/* One rule, rendered. Takes (list $ RULE SETTINGS PERCENT LABELS). */}}
{{- define "bellmetal.alert" -}}
{{- $root := first . -}}
{{- $rule := index . 1 -}}
{{- $text := toYaml $rule | replace "PERCENT" (index . 3) -}}
{{- $text = replace "metallb-system" $root.Release.Namespace $text -}}
{{- $rule = fromYaml $text -}}
{{- if ne $root.Release.Namespace "metallb-system" -}}
{{- $command := "(bellmetal (explain [a-z]+ (\\{\\{[^}]+\\}\\}|[A-Z/]+)|status( bgp| members)?|plan -f FILE))" -}}
{{- $said := regexReplaceAll $command $rule.annotations.next_step (printf "${1} --namespace %s" $root.Release.Namespace) -}}
{{- $_ := set $rule.annotations "next_step" $said -}}
{{- end -}}
{{- $excluded := default "" (index . 2).excludePools -}}
{{- if $excluded -}}
{{- $_ := set $rule "expr" (replace "EXCLUDED_POOLS" ($excluded | replace "\\" "\\\\" | replace "\"" "\\\"") $rule.expr) -}}
{{- else -}}
{{- $_ := set $rule "expr" (replace "{pool!~\"EXCLUDED_POOLS\"}" "" $rule.expr) -}}
{{- end -}}
{{- with last . -}}
{{- $_ := set $rule "labels" . -}}
{{- end -}}
- {{ toYaml $rule | nindent 2 | trim }}
{{- end }}

{{/* What MetalLB's values under prometheus ask for that has no counterpart: a sentence a line. */}}
{{- define "bellmetal.prometheusNotes" -}}
{{- $prometheus := .Values.prometheus -}}
{{- $access := list -}}
{{- range $key := list "rbacPrometheus" "serviceAccount" "namespace" -}}
{{- if index $prometheus $key -}}
{{- $access = append $access (printf "prometheus.%s" $key) -}}
{{- end -}}
{{- end -}}
{{- with $access }}
{{ join ", " . }}: nothing comes of it. Who may read /metrics is not asked; a NetworkPolicy says who can.
{{- end }}
{{- $monitors := dict "podMonitor" $prometheus.podMonitor "serviceMonitor.controller" $prometheus.serviceMonitor.controller "serviceMonitor.speaker" $prometheus.serviceMonitor.speaker }}
{{- range $key, $values := $monitors }}
{{- if $values.tlsConfig }}
prometheus.{{ $key }}.tlsConfig: nothing comes of it. /metrics is plain HTTP.
{{- end }}
{{- end }}
{{- end }}
