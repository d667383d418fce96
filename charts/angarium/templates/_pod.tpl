{{- define "angarium.podSpec" -}}
serviceAccountName: {{ include "angarium.serviceAccountName" . | toYaml }}
automountServiceAccountToken: {{ not .Values.kubeconfig.existingSecret }}
# Variables for every Service of the namespace would look like settings.
enableServiceLinks: false
# What is on its way has drainSeconds to arrive; then the store, the operator and the courier end.
terminationGracePeriodSeconds: {{ add .Values.drainSeconds 30 }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | toYaml }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: angarium
    image: {{ include "angarium.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: [run]
    # Why it does not start is said on its last line: `kubectl describe pod` shows it then.
    terminationMessagePolicy: FallbackToLogsOnError
    env:
      {{- include "angarium.env" . | nindent 6 }}
      {{- with .Values.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with .Values.extraEnvFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: 8080
      - name: health
        containerPort: 9090
    # docs/operations.md, "Liveness and readiness", says what they ask. /livez answers while a large
    # database is still migrated: a minute is for a node that is slow to start programs.
    startupProbe:
      httpGet: {path: /livez, port: health}
      initialDelaySeconds: 1
      periodSeconds: 1
      timeoutSeconds: 5
      failureThreshold: 60
    livenessProbe:
      httpGet: {path: /livez, port: health}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    readinessProbe:
      httpGet: {path: /readyz, port: health}
      periodSeconds: 5
      timeoutSeconds: 6
      failureThreshold: 2
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
      - name: data
        mountPath: /var/lib/angarium
      - name: tmp
        mountPath: /tmp
      {{- if .Values.kubeconfig.existingSecret }}
      - name: kubeconfig
        mountPath: /etc/angarium/kubeconfig
        readOnly: true
      {{- end }}
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  {{- if not .Values.persistence.enabled }}
  - name: data
    emptyDir: {}
  {{- else if .Values.persistence.existingClaim }}
  - name: data
    persistentVolumeClaim:
      claimName: {{ .Values.persistence.existingClaim | toYaml }}
  {{- end }}
  - name: tmp
    emptyDir: {}
  {{- with .Values.kubeconfig.existingSecret }}
  - name: kubeconfig
    secret:
      secretName: {{ . | toYaml }}
      defaultMode: 0440
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* The settings: those that follow from other values, then `settings` as they are given. */ -}}
{{- define "angarium.env" -}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- if .Values.kubeconfig.existingSecret }}
- name: ANGARIUM_KUBECONFIG
  value: {{ printf "/etc/angarium/kubeconfig/%s" .Values.kubeconfig.key | quote }}
{{- else }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: ANGARIUM_POD
  value: $(POD_NAMESPACE)/$(POD_NAME)/$(POD_UID)
{{- end }}
- name: ANGARIUM_PUBLIC_URL
  value: {{ .Values.publicUrl | default (printf "http://%s.$(POD_NAMESPACE).svc:%d" (include "angarium.fullname" .) (int64 .Values.service.port)) | quote }}
{{- with .Values.watchNamespaces }}
- name: ANGARIUM_NAMESPACES
  {{- $names := list }}
  {{- range uniq . }}
  {{- $names = append $names (eq . $.Release.Namespace | ternary "$(POD_NAMESPACE)" .) }}
  {{- end }}
  value: {{ join "," $names | quote }}
{{- end }}
- name: ANGARIUM_DRAIN
  value: {{ printf "%ds" (int64 .Values.drainSeconds) }}
{{- range $name, $value := .Values.settings }}
- name: ANGARIUM_{{ $name | snakecase | upper }}
  value: {{ include "angarium.settingText" $value | quote }}
{{- end }}
{{- end -}}

{{- /* A number comes as a float from a file of values, and would be written as 1.048576e+06. */ -}}
{{- define "angarium.settingText" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if or (kindIs "float64" .) (kindIs "int64" .) (kindIs "int" .) }}{{ int64 . }}
{{- else }}{{ . }}
{{- end }}
{{- end -}}
