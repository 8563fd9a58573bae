{{/* Refuses, in words, what the schema could refuse only by quoting a pattern: formats and combinations. All of it is reported at once.
Unknown names, types, enumerations and ranges are left to the schema, whose messages name the value and what it may be. */}}
{{- define "dbupgrade.validate" -}}
{{- $wrong := list }}
{{- range concat (include "dbupgrade.formats" . | fromJsonArray) (include "dbupgrade.policyFormats" . | fromJsonArray) }}
{{- if kindIs "float64" .value }}
{{- $wrong = append $wrong (printf "%s must be a string, but is a number: put it in quotes, or use --set-string" .name) }}
{{- else if not (regexMatch .pattern (.value | default "")) }}
{{- $wrong = append $wrong (printf "%s must be %s, but is %q" .name .wanted (.value | default "")) }}
{{- end }}
{{- end }}
{{- $wrong = concat $wrong (include "dbupgrade.wrongImages" . | fromJsonArray) (include "dbupgrade.wrongCombinations" . | fromJsonArray) }}
{{- if $wrong }}
{{- fail (join "\n" $wrong) }}
{{- end }}
{{- end }}

{{- define "dbupgrade.formats" -}}
{{- $namespace := "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" }}
{{- $rules := list
  (dict "name" "image.repository" "value" .Values.image.repository "pattern" "^[^@\\s]+$" "wanted" "an image without its digest, for example example.com/dbupgrade-operator")
  (dict "name" "image.tag" "value" .Values.image.tag "pattern" "^([A-Za-z0-9_][A-Za-z0-9._-]*)?$" "wanted" "a tag, for example 1.0.0 (a digest belongs into image.digest)")
  (dict "name" "image.digest" "value" .Values.image.digest "pattern" "^(sha256:[0-9a-f]{64})?$" "wanted" "sha256: followed by 64 hexadecimal digits")
  (dict "name" "serviceMonitor.interval" "value" .Values.serviceMonitor.interval "pattern" "^[0-9]+(ms|s|m|h)$" "wanted" "a number followed by ms, s, m or h, for example 30s")
  (dict "name" "prometheusRule.runbookURL" "value" .Values.prometheusRule.runbookURL "pattern" "^https?://[^\\s]+$" "wanted" "a URL, for example https://wiki.example.com/{alert}") }}
{{- range $index, $name := .Values.watch.namespaces }}
{{- $rules = append $rules (dict "name" (printf "watch.namespaces[%d]" $index) "value" $name "pattern" $namespace "wanted" "the name of a namespace") }}
{{- end }}
{{- range $list := list "allowedAnnotations" "allowedLabels" "allowedPriorityClasses" }}
{{- range $index, $prefix := index $.Values.pods $list }}
{{- $rules = append $rules (dict "name" (printf "pods.%s[%d]" $list $index) "value" $prefix "pattern" "^[^,]+$" "wanted" "one prefix, without a comma") }}
{{- end }}
{{- end }}
{{- range $list := list "custom" "external" }}
{{- range $index, $metric := index $.Values.metricChecks $list }}
{{- $rules = append $rules (dict "name" (printf "metricChecks.%s[%d]" $list $index) "value" $metric "pattern" "." "wanted" "the name of a metric, or *") }}
{{- end }}
{{- end }}
{{- toJson $rules }}
{{- end }}

{{- define "dbupgrade.policyFormats" -}}
{{- $rules := list }}
{{- range $index, $floor := .Values.policies }}
{{- $at := printf "policies[%d]" $index }}
{{- $rules = append $rules (dict "name" (printf "%s.name" $at) "value" .name "pattern" "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" "wanted" "lower-case letters, digits and -, at most 63") }}
{{- if hasKey . "lockTimeout" }}
{{- $rules = append $rules (dict "name" (printf "%s.lockTimeout" $at) "value" .lockTimeout "pattern" "^[1-9][0-9]{0,5}(ms|s|m|h)$" "wanted" "a number above 0 followed by ms, s, m or h, for example 10s") }}
{{- end }}
{{- $rules = append $rules (dict "name" (printf "%s.contact" $at) "value" .contact "pattern" "^[^\n\r\t]{0,200}$" "wanted" "one line of at most 200 characters") }}
{{- end }}
{{- toJson $rules }}
{{- end }}

{{- define "dbupgrade.wrongImages" -}}
{{- $wrong := list }}
{{- range $name := list "craneImage" "runnerImage" "atlasImage" }}
{{- $image := index $.Values $name }}
{{- if or $image (ne $name "atlasImage") }}
{{- if hasSuffix ":latest" $image }}
{{- $wrong = append $wrong (printf "%s must not use the tag latest, but is %q: what runs must not change under a running operator" $name $image) }}
{{- else if not (regexMatch "(@sha256:[0-9a-f]{64}|:[A-Za-z0-9_][A-Za-z0-9._-]*)$" $image) }}
{{- $wrong = append $wrong (printf "%s must have a tag or a digest, for example registry.example/image:1.0.0, but is %q" $name $image) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $wrong }}
{{- end }}

{{- define "dbupgrade.wrongCombinations" -}}
{{- $wrong := list }}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) }}
{{- $wrong = append $wrong "replicaCount above 1 requires leaderElection.enabled: otherwise, two operators would run the same migration" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- $wrong = append $wrong "serviceMonitor.enabled requires metrics.enabled: it selects the metrics Service of the operator" }}
{{- end }}
{{- $names := list }}
{{- range $index, $floor := .Values.policies }}
{{- if not (or .lint .approval .lockTimeout) }}
{{- $wrong = append $wrong (printf "policies[%d] (%s) requires nothing: set lint, approval or lockTimeout" $index .name) }}
{{- end }}
{{- if has .name $names }}
{{- $wrong = append $wrong (printf "policies[%d]: there is another policy with the name %s" $index .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- toJson $wrong }}
{{- end }}
