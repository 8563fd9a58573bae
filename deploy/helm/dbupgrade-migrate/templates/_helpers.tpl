{{- define "dbupgrade-migrate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 50 characters, so that the longest suffix, and that of the Job's pods, fit into a name of 63. */}}
{{- define "dbupgrade-migrate.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $made := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- default $made .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "dbupgrade-migrate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dbupgrade-migrate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: migration
component: migration
{{- end }}

{{- define "dbupgrade-migrate.labels" -}}
{{ include "dbupgrade-migrate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "dbupgrade-migrate.serviceAccount" -}}
{{- default (.Values.serviceAccount.create | ternary (include "dbupgrade-migrate.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "dbupgrade-migrate.secret" -}}
{{- .Values.secrets.create | ternary (printf "%s-credentials" (include "dbupgrade-migrate.fullname" .)) .Values.secrets.existingSecret }}
{{- end }}

{{/* "true" when there is something to render at all. Every template asks this first, so the values are validated here. */}}
{{- define "dbupgrade-migrate.enabled" -}}
{{- if and .Values.migrations.enabled (or .Values.hooks.preInstall.enabled .Values.hooks.preUpgrade.enabled) }}
{{- include "dbupgrade-migrate.validate" . }}true
{{- end }}
{{- end }}

{{/* repository:tag, or repository@sha256:... */}}
{{- define "dbupgrade-migrate.image" -}}
{{- printf "%s%s%s" .repository (hasPrefix "sha256:" .tag | ternary "@" ":") .tag }}
{{- end }}

{{/* What the hook's container is made of: `image` and `pullPolicy`, as JSON. */}}
{{- define "dbupgrade-migrate.hookImage" -}}
{{- $operator := eq .Values.migrations.mode "operator" }}
{{- if and .Values.migration.customImage.enabled (not $operator) }}
{{- dict "image" (include "dbupgrade-migrate.customImage" .) "pullPolicy" .Values.migration.customImage.pullPolicy | toJson }}
{{- else }}
{{- $image := $operator | ternary .Values.operator.image .Values.migration.image }}
{{- $tag := default .Chart.AppVersion $image.tag }}
{{- dict "image" (include "dbupgrade-migrate.image" (dict "repository" $image.repository "tag" $tag)) "pullPolicy" $image.pullPolicy | toJson }}
{{- end }}
{{- end }}

{{- define "dbupgrade-migrate.customImage" -}}
{{- with .Values.migration.customImage }}
{{- if not (and .repository .tag) }}
{{- fail "migration.customImage needs repository and tag: the image that contains the migrations of this version" }}
{{- end }}
{{- include "dbupgrade-migrate.image" . }}
{{- end }}
{{- end }}

{{/* "true" when the hook itself connects to the database, with the password from a file. */}}
{{- define "dbupgrade-migrate.passwordFile" -}}
{{- if and (eq .Values.migrations.mode "job") (ne .Values.migration.command "validate") (not .Values.secrets.urlKey) }}true{{ end }}
{{- end }}

{{/* The hook events and the settings of the one for which Helm renders now. */}}
{{- define "dbupgrade-migrate.hookEvents" -}}
{{- $events := list }}
{{- if .Values.hooks.preInstall.enabled }}{{ $events = append $events "pre-install" }}{{ end }}
{{- if .Values.hooks.preUpgrade.enabled }}{{ $events = append $events "pre-upgrade" }}{{ end }}
{{- join "," $events }}
{{- end }}

{{- define "dbupgrade-migrate.hook" -}}
{{- $now := or .Release.IsUpgrade (not .Values.hooks.preInstall.enabled) | ternary .Values.hooks.preUpgrade .Values.hooks.preInstall }}
{{- toJson $now }}
{{- end }}

{{/* For what the Job needs: there one step before it, and gone when it has ended. */}}
{{- define "dbupgrade-migrate.annotationsBefore" -}}
{{- $hook := include "dbupgrade-migrate.hook" . | fromJson }}
helm.sh/hook: {{ include "dbupgrade-migrate.hookEvents" . }}
helm.sh/hook-weight: {{ sub (int $hook.weight) 1 | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "dbupgrade-migrate.needDatabase" -}}
{{- if not (and .Values.database.host .Values.database.name) }}
{{- fail "database.host and database.name are required (or secrets.urlKey, for a Secret with a complete URL)" }}
{{- end }}
{{- end }}

{{/* What tells the toolkit where the database is. The password is a file: an environment shows in more places. */}}
{{- define "dbupgrade-migrate.environment" -}}
- name: MIGRATE_FORMAT
  value: {{ .Values.log.format }}
{{- if ne .Values.migration.command "validate" }}
{{- $secret := include "dbupgrade-migrate.secret" . }}
{{- if not $secret }}
{{- fail "secrets.existingSecret is required: the Secret with the credentials of the database" }}
{{- end }}
{{- if .Values.secrets.urlKey }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ .Values.secrets.urlKey }}
{{- else }}
{{- include "dbupgrade-migrate.needDatabase" . }}
- name: DB_HOST
  value: {{ .Values.database.host | replace "$" "$$" | quote }}
- name: DB_PORT
  value: {{ .Values.database.port | quote }}
- name: DB_NAME
  value: {{ .Values.database.name | replace "$" "$$" | quote }}
- name: DB_SSLMODE
  value: {{ .Values.database.sslMode }}
- name: DB_USER
  {{- if .Values.database.user }}
  value: {{ .Values.database.user | replace "$" "$$" | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ .Values.secrets.usernameKey }}
  {{- end }}
- name: DB_PASSWORD_FILE
  value: /var/run/credentials/password
{{- end }}
{{- with .Values.metrics.pushgatewayUrl }}
- name: MIGRATE_PUSHGATEWAY_URL
  value: {{ . | replace "$" "$$" | quote }}
{{- end }}
{{- with .Values.migration.baselineVersion }}
- name: MIGRATE_BASELINE_VERSION
  value: {{ . | quote }}
{{- end }}
{{- with .Values.migration.lockTimeout }}
- name: MIGRATE_LOCK_TIMEOUT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.migration.statementTimeout }}
- name: MIGRATE_STATEMENT_TIMEOUT
  value: {{ . | quote }}
{{- end }}
- name: MIGRATE_DEADLINE
  value: {{ printf "%ds" (int .Values.migration.activeDeadlineSeconds) }}
{{- end }}
{{- end }}

{{/* Where the operator finds the database: spec.database.connection. */}}
{{- define "dbupgrade-migrate.connection" -}}
{{- $secret := .Values.secrets.existingSecret }}
{{- if not $secret }}
{{- fail "mode operator requires secrets.existingSecret (the Secret with the credentials of the database), or operator.spec.database" }}
{{- end }}
{{- if .Values.secrets.urlKey }}
urlSecretRef:
  name: {{ $secret }}
  key: {{ .Values.secrets.urlKey }}
{{- else }}
{{- if .Values.database.user }}
{{- fail "database.user is for mode job: in mode operator, the user is read from the Secret's key secrets.usernameKey" }}
{{- end }}
{{- include "dbupgrade-migrate.needDatabase" . }}
host: {{ .Values.database.host | quote }}
port: {{ .Values.database.port }}
database: {{ .Values.database.name | quote }}
sslMode: {{ .Values.database.sslMode }}
userSecretRef:
  name: {{ $secret }}
  key: {{ .Values.secrets.usernameKey }}
passwordSecretRef:
  name: {{ $secret }}
  key: {{ .Values.secrets.passwordKey }}
{{- end }}
{{- end }}
