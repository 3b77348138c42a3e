{{- define "stemwright.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "stemwright.selector" -}}
app.kubernetes.io/name: stemwright
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "stemwright.labels" -}}
{{ include "stemwright.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "stemwright.serviceAccount" -}}
{{- if .Values.serviceAccount.name }}
serviceAccountName: {{ .Values.serviceAccount.name }}
{{- end }}
automountServiceAccountToken: {{ not (empty .Values.serviceAccount.name) }}
{{- end }}

{{- define "stemwright.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What all containers share: image, environment, rights. `device` may be left out. */}}
{{- define "stemwright.container" -}}
image: {{ printf "%s:%s" .root.Values.image.repository .root.Values.image.tag | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
envFrom:
  - secretRef:
      name: {{ .root.Values.secretName }}
env:
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  - name: STEMWRIGHT_PRODUCTION
    value: "True"
  - name: STEMWRIGHT_SITE_URL
    value: {{ printf "https://%s" .root.Values.host | quote }}
  # Probes and Prometheus call the pod by its address.
  - name: ALLOWED_HOSTS
    value: {{ printf "%s,$(POD_IP)" .root.Values.host | quote }}
  - name: STEMWRIGHT_TRUSTED_PROXY_COUNT
    value: {{ .root.Values.trustedProxyCount | quote }}
  - name: STEMWRIGHT_DEVICE
    value: {{ .device | default "cpu" | quote }}
  {{- if .jobsAtOnce }}
  - name: STEMWRIGHT_JOBS_AT_ONCE
    value: {{ .jobsAtOnce | quote }}
  {{- end }}
  {{- range $name, $value := .root.Values.environment }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: scratch
    mountPath: /var/lib/stemwright/scratch
  {{- if .root.Values.weights.existingClaim }}
  - name: weights
    mountPath: /var/lib/stemwright/weights
    readOnly: true
  {{- end }}
{{- end }}

{{- define "stemwright.volumes" -}}
volumes:
  - name: tmp
    emptyDir:
      medium: Memory
      sizeLimit: 64Mi
  - name: scratch
    emptyDir:
      sizeLimit: {{ .scratchSize }}
  {{- if .root.Values.weights.existingClaim }}
  - name: weights
    persistentVolumeClaim:
      claimName: {{ .root.Values.weights.existingClaim }}
      readOnly: true
  {{- end }}
{{- end }}

{{/* Shows life below /tmp; starts no Python. */}}
{{- define "stemwright.alive" -}}
livenessProbe:
  exec:
    command: [scripts/alive]
  initialDelaySeconds: 120
  periodSeconds: 30
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}

{{/* Two pods of a kind on different nodes, where there are several. */}}
{{- define "stemwright.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "stemwright.selector" . | nindent 8 }}
{{- end }}
