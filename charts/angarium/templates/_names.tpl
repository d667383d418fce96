{{- /* Names, labels and what follows from several values. */ -}}

{{- /* A StatefulSet's name: its pods get a label of it and eleven characters more, and a label's value has at most 63.
   A release's name may have dots, a Service's may not. */ -}}
{{- define "angarium.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $full .Values.fullnameOverride | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- /* Of what belongs to the whole cluster. A dot is in neither part, so no two releases get the same name. */ -}}
{{- define "angarium.clusterName" -}}
{{ include "angarium.fullname" . }}.{{ .Release.Namespace }}
{{- end -}}

{{- define "angarium.serviceAccountName" -}}
{{- default (include "angarium.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "angarium.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | toYaml }}
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end -}}

{{- define "angarium.labels" -}}
{{- $ours := include "angarium.selector" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- mustMergeOverwrite (deepCopy .Values.commonLabels) $ours | toYaml -}}
{{- end -}}

{{- /* metadata of one object. Takes a dict: context, name, and optionally namespace ("" for none), labels, annotations. */ -}}
{{- define "angarium.metadata" -}}
{{- $annotations := mustMergeOverwrite (deepCopy .context.Values.commonAnnotations) (.annotations | default dict) -}}
{{- $labels := mustMergeOverwrite (deepCopy (.labels | default dict)) (include "angarium.labels" .context | fromYaml) -}}
name: {{ .name | toYaml }}
{{- with hasKey . "namespace" | ternary .namespace .context.Release.Namespace }}
namespace: {{ . | toYaml }}
{{- end }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "angarium.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{ .Values.image.repository }}:{{ $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{- define "angarium.subject" -}}
- kind: ServiceAccount
  name: {{ include "angarium.serviceAccountName" . | toYaml }}
  namespace: {{ .Release.Namespace | toYaml }}
{{- end -}}
