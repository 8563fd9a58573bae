{{/* Refuses, in words, what the schema could refuse only by quoting a pattern; all of it is reported at once. Unknown names, types,
enumerations and ranges are left to the schema, whose messages name the value and what it may be. */}}
{{- define "dbupgrade-migrate.validate" -}}
{{- $wrong := list }}
{{- range concat (include "dbupgrade-migrate.imageFormats" . | fromJsonArray) (include "dbupgrade-migrate.formats" . | fromJsonArray) }}
{{- if kindIs "float64" .value }}
{{- $wrong = append $wrong (printf "%s must be a string, but is a number: put it in quotes, or use --set-string" .name) }}
{{- else if not (regexMatch .pattern (.value | default "")) }}
{{- $wrong = append $wrong (printf "%s must be %s, but is %q" .name .wanted (.value | default "")) }}
{{- else if and (hasSuffix ".tag" .name) (eq "latest" (.value | default "")) }}
{{- $wrong = append $wrong (printf "%s must not be latest: the tag must say which migrations are in the image" .name) }}
{{- end }}
{{- end }}
{{- if $wrong }}
{{- fail (join "\n" $wrong) }}
{{- end }}
{{- end }}

{{- define "dbupgrade-migrate.imageFormats" -}}
{{- $rules := list }}
{{- range $name, $image := dict "migration.image" .Values.migration.image "migration.customImage" .Values.migration.customImage "operator.image" .Values.operator.image }}
{{- $rules = append $rules (dict "name" (printf "%s.repository" $name) "value" $image.repository "pattern" (eq $name "migration.customImage" | ternary "^[^@\\s]*$" "^[^@\\s]+$") "wanted" "an image without its digest, which belongs into tag") }}
{{- $rules = append $rules (dict "name" (printf "%s.tag" $name) "value" $image.tag "pattern" "^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$" "wanted" "a tag, for example 1.0.0, or sha256: followed by 64 hexadecimal digits") }}
{{- end }}
{{- toJson $rules }}
{{- end }}

{{- define "dbupgrade-migrate.formats" -}}
{{- $rules := list
  (dict "name" "migration.baselineVersion" "value" .Values.migration.baselineVersion "pattern" "^[A-Za-z0-9._-]*$" "wanted" "the version of a file: letters, digits, '.', '_' and '-'")
  (dict "name" "metrics.pushgatewayUrl" "value" .Values.metrics.pushgatewayUrl "pattern" "^(https?://.+)?$" "wanted" "an http:// or https:// URL")
  (dict "name" "prometheusRule.runbookURL" "value" .Values.prometheusRule.runbookURL "pattern" "^https?://[^\\s]+$" "wanted" "a URL, for example https://wiki.example.com/{alert}") }}
{{- range $name := list "lockTimeout" "statementTimeout" }}
{{- $rules = append $rules (dict "name" (printf "migration.%s" $name) "value" (index $.Values.migration $name) "pattern" "^([0-9]+(ms|s|m|h))?$" "wanted" "a number followed by ms, s, m or h, for example 5s") }}
{{- end }}
{{- range $name := list "usernameKey" "passwordKey" "urlKey" }}
{{- $rules = append $rules (dict "name" (printf "secrets.%s" $name) "value" (index $.Values.secrets $name) "pattern" (eq $name "urlKey" | ternary "^[-._a-zA-Z0-9]*$" "^[-._a-zA-Z0-9]+$") "wanted" "a key of a Secret: letters, digits, '-', '_' and '.'") }}
{{- end }}
{{- range $name, $hook := .Values.hooks }}
{{- $rules = append $rules (dict "name" (printf "hooks.%s.deletePolicy" $name) "value" $hook.deletePolicy "pattern" "^(before-hook-creation|hook-succeeded|hook-failed)(, *(before-hook-creation|hook-succeeded|hook-failed))*$" "wanted" "before-hook-creation, hook-succeeded or hook-failed, or several of these separated by commas") }}
{{- end }}
{{- toJson $rules }}
{{- end }}
