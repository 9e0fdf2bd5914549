{{/* Beside MetalLB, its kinds are its own. */}}
{{- define "bellmetal.ownCRDs" -}}
{{- ternary "files/crds/*.bellmetal.io.yaml" "files/crds/*.yaml" .Values.takeover -}}
{{- end }}

{{/* Of the CustomResourceDefinitions that this chart has, those that another release owns, or nobody:
a sentence, or nothing. Without it helm says that annotations must be equal, and not what to do. */}}
{{- define "bellmetal.foreignCRDs" -}}
{{- if and .Values.crds.enabled (not .Values.crds.takeOwnership) -}}
{{- $found := dict -}}
{{- range $path, $_ := .Files.Glob (include "bellmetal.ownCRDs" .) -}}
{{- $name := base $path | trimSuffix ".yaml" -}}
{{- with lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name -}}
{{- $marks := .metadata.annotations | default dict -}}
{{- $release := get $marks "meta.helm.sh/release-name" -}}
{{- $namespace := get $marks "meta.helm.sh/release-namespace" -}}
{{- if ne (list $release $namespace | join "/") (list $.Release.Name $.Release.Namespace | join "/") -}}
{{- $owner := ternary (printf "the Helm release %q of the namespace %q" $release $namespace) "no Helm release" (ne $release "") -}}
{{- $_ := set $found $owner (append (get $found $owner | default list) $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $owner, $names := $found -}}
crds.enabled: CustomResourceDefinitions belong to {{ $owner }}: {{ join ", " $names }}. To take them over, with every object of them as it is, add --take-ownership --force-conflicts --set crds.takeOwnership=true to helm's command (helm 3 knows no --force-conflicts, and needs none). {{ if ne $owner "no Helm release" -}} Before that release is uninstalled, upgrade it with crds.enabled=false, or its CRDs go with every pool and peer. {{ end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Likewise, one whose objects a webhook converts, as MetalLB's does with BGPPeers: when that is gone,
none of them can be read. The CRD here says "no webhook", but server-side apply takes out nothing that
another field manager wrote (the caBundle), and so is refused. */}}
{{- define "bellmetal.convertedCRDs" -}}
{{- if .Values.crds.enabled -}}
{{- range $path, $_ := .Files.Glob (include "bellmetal.ownCRDs" .) -}}
{{- $name := base $path | trimSuffix ".yaml" -}}
{{- with lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name -}}
{{- if eq (dig "spec" "conversion" "strategy" "None" .) "Webhook" -}}
crds.enabled: objects of the CustomResourceDefinition {{ $name }} are converted by a webhook, without which none can be read. Take it out before: kubectl patch crd {{ $name }} --type=merge --patch '{"spec":{"conversion":{"strategy":"None","webhook":null}}}'
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
