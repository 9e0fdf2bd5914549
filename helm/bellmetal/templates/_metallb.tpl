{{/* Of files/metallb-values.yaml, what the given values are concerned by. Takes (list $ "noted") or
(list $ "refused"); gives a JSON object, the sentence by the key that is set. */}}
{{- define "bellmetal.metallbValues" -}}
{{- $root := first . -}}
{{- $table := index ($root.Files.Get "files/metallb-values.yaml" | fromYaml) (last .) -}}
{{- $found := dict -}}
{{- range $entry, $sentence := $table -}}
{{- $key := splitList "=" $entry | first -}}
{{- $value := include "bellmetal.valueAt" (list $root.Values $key) | fromJson | dig "value" nil -}}
{{- if contains "=" $entry -}}
{{- if eq $entry (printf "%s=%v" $key $value) -}}
{{- $_ := set $found $entry $sentence -}}
{{- end -}}
{{- else if $value -}}
{{- $_ := set $found $key $sentence -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* What stands in values at a path. Takes (list VALUES "a.b.c"); gives {"value": …} or {} as JSON. */}}
{{- define "bellmetal.valueAt" -}}
{{- $here := dict "value" (first .) -}}
{{- range $step := splitList "." (last .) -}}
{{- $value := get $here "value" -}}
{{- if and (kindIs "map" $value) (hasKey (default dict $value) $step) -}}
{{- $here = dict "value" (get $value $step) -}}
{{- else -}}
{{- $here = dict -}}
{{- end -}}
{{- end -}}
{{- toJson $here -}}
{{- end }}
