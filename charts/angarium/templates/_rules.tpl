{{- /* The rights that the operator needs, and nothing more: the Role of each watched namespace, or the ClusterRole. */ -}}

{{- define "angarium.rules" -}}
# Read what people declare. Angarium never changes a spec, an annotation or a finalizer.
- apiGroups: [angarium.dev]
  resources: [endpoints, topics, schedules, queues, tokens]
  verbs: [list, watch]
# Tell them what became of it.
- apiGroups: [angarium.dev]
  resources: [endpoints/status, topics/status, schedules/status, queues/status, tokens/status]
  verbs: [patch]
{{ include "angarium.eventRules" . }}
# get: headers and TLS of Endpoints, by the name that the Endpoint gives; never all Secrets of a namespace.
# create, patch: the Secret of a Token, and its rotation. Its removal is the garbage collector's work, by the
# ownerReference that it is created with (without blockOwnerDeletion, which would need rights on finalizers).
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
# Bodies of Schedules, by name.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
{{- end -}}

{{- define "angarium.eventRules" -}}
# Report what happened: a new Event is created, a repeated one is patched to count it.
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
