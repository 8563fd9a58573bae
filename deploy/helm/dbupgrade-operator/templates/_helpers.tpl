{{- define "dbupgrade.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 50 characters, so that the longest suffix fits into a name of 63. */}}
{{- define "dbupgrade.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $made := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- default $made .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "dbupgrade.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dbupgrade.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dbupgrade.labels" -}}
{{ include "dbupgrade.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "dbupgrade.serviceAccount" -}}
{{- default (.Values.serviceAccount.create | ternary (include "dbupgrade.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "dbupgrade.certificate" -}}
{{ include "dbupgrade.fullname" . }}-webhook-cert
{{- end }}

{{/* "true" when the operator looks after the webhook's certificate itself. */}}
{{- define "dbupgrade.ownCertificate" -}}
{{- if and .Values.webhook.enabled (not .Values.webhook.certManager.enabled) }}true{{ end }}
{{- end }}

{{/* What the operator may do where it watches; used by the ClusterRole and by the Roles. */}}
{{- define "dbupgrade.rules" -}}
- apiGroups: [dbupgrade.subbug.learning]
  resources: [dbupgrades]
  verbs: [list, watch]
- apiGroups: [dbupgrade.subbug.learning]
  resources: [dbupgrades/status]
  verbs: [patch]
# Needed to own Jobs where OwnerReferencesPermissionEnforcement is on, as on OpenShift.
- apiGroups: [dbupgrade.subbug.learning]
  resources: [dbupgrades/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- if or .Values.secrets.read .Values.aws.enabled }}
# Only the ones that a DBUpgrade names, or that hold a token of AWS, are read; never listed, never watched.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get{{ if .Values.aws.enabled }}, create, update, delete{{ end }}]
{{- end }}
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- with .Values.metricChecks }}
{{- if and .enabled .custom }}
- apiGroups: [custom.metrics.k8s.io]
  resources: {{ toJson .custom }}
  verbs: [get]
{{- end }}
{{- if and .enabled .external }}
- apiGroups: [external.metrics.k8s.io]
  resources: {{ toJson .external }}
  verbs: [list]
{{- end }}
{{- end }}
{{- end }}

{{/* With cert-manager in the same release, its kinds exist only after everything else is installed. */}}
{{- define "dbupgrade.afterCertManager" -}}
{{- if .Values.certManager.install -}}
annotations:
  helm.sh/hook: post-install,post-upgrade
{{- end }}
{{- end }}

{{/* The operator's own image, by digest where there is one. */}}
{{- define "dbupgrade.image" -}}
{{- with .Values.image.digest -}}
{{- printf "%s@%s" $.Values.image.repository . -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}
