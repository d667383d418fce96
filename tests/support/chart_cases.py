"""Each value of the chart, what it is set to in tests, and all that this changes in what is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from tests.support.differences import GONE
from tools.manifests import chart

VERSION = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["appVersion"]
CLUSTER_NAME = "angarium.angarium"
CLUSTER_ROLES = (f"ClusterRole/{CLUSTER_NAME}", f"ClusterRoleBinding/{CLUSTER_NAME}")
CRDS = [f"CustomResourceDefinition/{kind}.angarium.dev" for kind in sorted(one.stem for one in chart.SOURCE.iterdir())]
SET = "StatefulSet/angarium"
POD = f"{SET}.spec.template.spec"
CONTAINER = f"{POD}.containers[angarium]"
CLAIM = f"{SET}.spec.volumeClaimTemplates"
SUBJECTS = f"{CLUSTER_ROLES[1]}.subjects"
OBJECTS = [*CRDS, *CLUSTER_ROLES, "ServiceAccount/angarium", "Service/angarium", "Service/angarium-health", SET]
"""What a release has by default."""
DIGEST = f"sha256:{'0' * 64}"
PEER = {"podSelector": {"matchLabels": {"app": "shop"}}}


class Whatever:
    """Equal to everything: the object is looked at elsewhere."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return other != GONE


@dataclass(frozen=True, slots=True)
class Case:
    """`path` is set to `value` beside `given`, which stands in both renderings; then `changes` are all differences."""

    path: str
    value: Any
    changes: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)


def env(name: str) -> str:
    return f"{CONTAINER}.env[{name}]"


def variable(name: str, value: str) -> dict[str, Any]:
    return {env(name): {"name": name, "value": value}}


def gone(*paths: str) -> dict[str, str]:
    return dict.fromkeys(paths, GONE)


def claim(**changes: Any) -> dict[str, Any]:
    """The template of the claim is one value in a list."""
    labels = {"app.kubernetes.io/name": "angarium", "app.kubernetes.io/instance": "angarium"}
    metadata = {"name": "data", "labels": labels} | changes.pop("metadata", {})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}} | changes
    return {CLAIM: [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}]}


def volume(text: str) -> dict[str, str]:
    return {f"{SET}.metadata.annotations.angarium.dev/volume": text}


TEAM = {"team": "blue"}
INGRESS = {"ingress": {"enabled": True, "hosts": ["queue.example.com"]}}
POLICY = {"networkPolicy": {"enabled": True}}
MONITOR = {"serviceMonitor": {"enabled": True}}
RULE = {"prometheusRule": {"enabled": True}}
OTHER_CLUSTER = {"kubeconfig": {"existingSecret": "other"}}
NO_CLAIM = gone(
    CLAIM, *(f"{SET}.spec.persistentVolumeClaimRetentionPolicy.{when}" for when in ("whenDeleted", "whenScaled"))
)

CASES = [
    Case("global", {"region": "eu"}, {}),
    Case(
        "nameOverride",
        "gar",
        {f"{name}.metadata.labels.app.kubernetes.io/name": "gar" for name in [*OBJECTS, f"{SET}.spec.template"]}
        | {f"Service/{name}.spec.selector.app.kubernetes.io/name": "gar" for name in ("angarium", "angarium-health")}
        | {f"{SET}.spec.selector.matchLabels.app.kubernetes.io/name": "gar"}
        | claim(metadata={"labels": {"app.kubernetes.io/name": "gar", "app.kubernetes.io/instance": "angarium"}}),
    ),
    Case(
        "fullnameOverride",
        "queue",
        gone(*(name for name in OBJECTS if name not in CRDS))
        | dict.fromkeys(
            [
                "ClusterRole/queue.angarium",
                "ClusterRoleBinding/queue.angarium",
                "ServiceAccount/queue",
                "Service/queue",
                "Service/queue-health",
                "StatefulSet/queue",
            ],
            Whatever(),
        ),
    ),
    Case("replicas", 0, {f"{SET}.spec.replicas": 0}),
    Case("image.repository", "mirror:5000/angarium", {f"{CONTAINER}.image": f"mirror:5000/angarium:{VERSION}"}),
    Case("image.tag", "9.9", {f"{CONTAINER}.image": "angarium.dev/angarium:9.9"}),
    Case("image.digest", DIGEST, {f"{CONTAINER}.image": f"angarium.dev/angarium:{VERSION}@{DIGEST}"}),
    Case("image.pullPolicy", "Always", {f"{CONTAINER}.imagePullPolicy": "Always"}),
    Case("imagePullSecrets", [{"name": "pull"}], {f"{POD}.imagePullSecrets[pull]": {"name": "pull"}}),
    Case("crds.enabled", False, gone(*CRDS)),
    Case("crds.keep", False, gone(*(f"{name}.metadata.annotations.helm.sh/resource-policy" for name in CRDS))),
    Case(
        "watchNamespaces",
        ["shop", "angarium", "shop"],
        gone(*CLUSTER_ROLES)
        | dict.fromkeys(
            ["Role/shop/angarium", "RoleBinding/shop/angarium", "Role/angarium", "RoleBinding/angarium"], Whatever()
        )
        | variable("ANGARIUM_NAMESPACES", "shop,$(POD_NAMESPACE)"),
    ),
    Case("publicUrl", "https://q.example.com", {f"{env('ANGARIUM_PUBLIC_URL')}.value": "https://q.example.com"}),
    Case(
        "drainSeconds",
        90,
        {f"{env('ANGARIUM_DRAIN')}.value": "90s", f"{POD}.terminationGracePeriodSeconds": 120},
    ),
    Case(
        "kubeconfig.existingSecret",
        "other",
        gone(*CLUSTER_ROLES, *map(env, ("POD_NAME", "POD_UID", "ANGARIUM_POD")))
        | variable("ANGARIUM_KUBECONFIG", "/etc/angarium/kubeconfig/kubeconfig")
        | {
            f"{POD}.automountServiceAccountToken": False,
            f"{POD}.volumes[kubeconfig]": {
                "name": "kubeconfig",
                "secret": {"secretName": "other", "defaultMode": 0o440},
            },
            f"{CONTAINER}.volumeMounts[kubeconfig]": {
                "name": "kubeconfig",
                "mountPath": "/etc/angarium/kubeconfig",
                "readOnly": True,
            },
        },
    ),
    Case(
        "kubeconfig.key",
        "config",
        {f"{env('ANGARIUM_KUBECONFIG')}.value": "/etc/angarium/kubeconfig/config"},
        OTHER_CLUSTER,
    ),
    Case("rbac.create", False, gone(*CLUSTER_ROLES)),
    Case(
        "serviceAccount.create",
        False,
        gone("ServiceAccount/angarium", f"{SUBJECTS}[angarium]")
        | {
            f"{POD}.serviceAccountName": "default",
            f"{SUBJECTS}[default]": {"kind": "ServiceAccount", "name": "default", "namespace": "angarium"},
        },
    ),
    Case(
        "serviceAccount.name",
        "robot",
        gone("ServiceAccount/angarium", f"{SUBJECTS}[angarium]")
        | {
            "ServiceAccount/robot": Whatever(),
            f"{POD}.serviceAccountName": "robot",
            f"{SUBJECTS}[robot]": {"kind": "ServiceAccount", "name": "robot", "namespace": "angarium"},
        },
    ),
    Case("serviceAccount.annotations", TEAM, {"ServiceAccount/angarium.metadata.annotations.team": "blue"}),
    Case("service.type", "LoadBalancer", {"Service/angarium.spec.type": "LoadBalancer"}),
    Case(
        "service.port",
        80,
        {
            "Service/angarium.spec.ports[http].port": 80,
            f"{env('ANGARIUM_PUBLIC_URL')}.value": "http://angarium.$(POD_NAMESPACE).svc:80",
        },
    ),
    Case(
        "service.nodePort",
        30080,
        {"Service/angarium.spec.ports[http].nodePort": 30080},
        {"service": {"type": "NodePort"}},
    ),
    Case(
        "service.loadBalancerSourceRanges",
        ["10.0.0.0/8"],
        {"Service/angarium.spec.loadBalancerSourceRanges": ["10.0.0.0/8"]},
        {"service": {"type": "LoadBalancer"}},
    ),
    Case("service.annotations", TEAM, {"Service/angarium.metadata.annotations.team": "blue"}),
    Case("ingress.enabled", True, {"Ingress/angarium": Whatever()}, {"ingress": {"hosts": ["queue.example.com"]}}),
    Case("ingress.className", "nginx", {"Ingress/angarium.spec.ingressClassName": "nginx"}, INGRESS),
    Case(
        "ingress.hosts",
        ["*.example.com"],
        {
            "Ingress/angarium.spec.rules": [
                {
                    "host": "*.example.com",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "angarium", "port": {"name": "http"}}},
                            }
                        ]
                    },
                }
            ]
        },
        INGRESS,
    ),
    Case(
        "ingress.tlsSecret",
        "cert",
        {"Ingress/angarium.spec.tls": [{"secretName": "cert", "hosts": ["queue.example.com"]}]},
        INGRESS,
    ),
    Case("ingress.annotations", TEAM, {"Ingress/angarium.metadata.annotations.team": "blue"}, INGRESS),
    Case("networkPolicy.enabled", True, {"NetworkPolicy/angarium": Whatever()}),
    Case(
        "networkPolicy.publishers",
        [PEER],
        {
            "NetworkPolicy/angarium.spec.ingress": [
                {"ports": [{"port": "http"}], "from": [PEER]},
                {"ports": [{"port": "health"}], "from": [{"namespaceSelector": {}}]},
            ]
        },
        POLICY,
    ),
    Case(
        "networkPolicy.monitoring", [], {"NetworkPolicy/angarium.spec.ingress": [{"ports": [{"port": "http"}]}]}, POLICY
    ),
    Case(
        "networkPolicy.egress",
        [{"to": [PEER]}],
        {
            "NetworkPolicy/angarium.spec.egress": [{"to": [PEER]}],
            "NetworkPolicy/angarium.spec.policyTypes": ["Ingress", "Egress"],
        },
        POLICY,
    ),
    Case("serviceMonitor.enabled", True, {"ServiceMonitor/angarium": Whatever()}),
    Case(
        "serviceMonitor.interval",
        "1m",
        {"ServiceMonitor/angarium.spec.endpoints": [{"port": "health", "path": "/metrics", "interval": "1m"}]},
        MONITOR,
    ),
    Case("serviceMonitor.labels", TEAM, {"ServiceMonitor/angarium.metadata.labels.team": "blue"}, MONITOR),
    Case("prometheusRule.enabled", True, {"PrometheusRule/angarium": Whatever()}),
    Case("prometheusRule.labels", TEAM, {"PrometheusRule/angarium.metadata.labels.team": "blue"}, RULE),
    Case(
        "persistence.enabled",
        False,
        NO_CLAIM | volume("none") | {f"{POD}.volumes[data]": {"name": "data", "emptyDir": {}}},
    ),
    Case(
        "persistence.size",
        "20Gi",
        volume("20Gi ReadWriteOnce") | claim(resources={"requests": {"storage": "20Gi"}}),
    ),
    Case("persistence.storageClass", "fast", volume("8Gi ReadWriteOnce fast") | claim(storageClassName="fast")),
    Case(
        "persistence.accessMode",
        "ReadWriteOncePod",
        volume("8Gi ReadWriteOncePod") | claim(accessModes=["ReadWriteOncePod"]),
    ),
    Case(
        "persistence.existingClaim",
        "mine",
        NO_CLAIM
        | volume("none")
        | {f"{POD}.volumes[data]": {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}},
    ),
    Case(
        "persistence.annotations",
        TEAM,
        volume('8Gi ReadWriteOnce {"team":"blue"}') | claim(metadata={"annotations": TEAM}),
    ),
    Case("resources", {"limits": {"memory": "1Gi"}}, {f"{CONTAINER}.resources.limits.memory": "1Gi"}),
    Case("podSecurityContext", {"runAsUser": 1000}, {f"{POD}.securityContext.runAsUser": 1000}),
    Case("securityContext", {"privileged": False}, {f"{CONTAINER}.securityContext.privileged": False}),
    Case(
        "commonLabels",
        TEAM,
        {f"{name}.metadata.labels.team": "blue" for name in [*OBJECTS, f"{SET}.spec.template"]},
    ),
    Case(
        "commonAnnotations",
        TEAM,
        {f"{name}.metadata.annotations.team": "blue" for name in [*OBJECTS, f"{SET}.spec.template"]},
    ),
    Case("podLabels", TEAM, {f"{SET}.spec.template.metadata.labels.team": "blue"}),
    Case("podAnnotations", TEAM, {f"{SET}.spec.template.metadata.annotations.team": "blue"}),
    Case("nodeSelector", TEAM, {f"{POD}.nodeSelector.team": "blue"}),
    Case("tolerations", [{"operator": "Exists"}], {f"{POD}.tolerations": [{"operator": "Exists"}]}),
    Case("affinity", {"nodeAffinity": {}}, {f"{POD}.affinity.nodeAffinity": {}}),
    Case("priorityClassName", "system-cluster-critical", {f"{POD}.priorityClassName": "system-cluster-critical"}),
    Case("extraEnv", [{"name": "HTTPS_PROXY", "value": "http://p:1"}], variable("HTTPS_PROXY", "http://p:1")),
    Case(
        "extraEnvFrom",
        [{"secretRef": {"name": "proxy"}}],
        {f"{CONTAINER}.envFrom": [{"secretRef": {"name": "proxy"}}]},
    ),
    Case(
        "extraVolumes",
        [{"name": "backups", "emptyDir": {}}],
        {f"{POD}.volumes[backups]": {"name": "backups", "emptyDir": {}}},
    ),
    Case(
        "extraVolumeMounts",
        [{"name": "backups", "mountPath": "/backups"}],
        {f"{CONTAINER}.volumeMounts[backups]": {"name": "backups", "mountPath": "/backups"}},
        {"extraVolumes": [{"name": "backups", "emptyDir": {}}]},
    ),
]

SETTINGS: dict[str, tuple[Any, str]] = {
    "host": ("::", "::"),
    "healthHost": ("::", "::"),
    "resync": ("1m", "1m"),
    "maxBody": (2**20, "1048576"),
    "maxBatch": (2**30, "1073741824"),
    "maxResponse": (0, "0"),
    "maxDelay": ("7d", "7d"),
    "inFlight": (100_000, "100000"),
    "inFlightBytes": (10**12, "1000000000000"),
    "inFlightPerDestination": (7, "7"),
    "inFlightPerHost": (8, "8"),
    "retryJitter": (10, "10"),
    "publicOnly": (True, "true"),
    "allowAddress": (["10.0.0.0/8", "fd00::/8"], "10.0.0.0/8,fd00::/8"),
    "orphanGrace": ("1m", "1m"),
    "callbackHold": ("1h", "1h"),
    "keepMessages": ("1d", "1d"),
    "keepLog": ("2d", "2d"),
    "keepDeadLetters": ("30d", "30d"),
    "waitingLimit": (10**12, "1000000000000"),
    "bytesLimit": (10**15, "1000000000000000"),
    "maxQueues": (0, "0"),
    "maxSchedules": (1, "1"),
    "maxTopics": (2, "2"),
    "maxFixedKeys": (10**6, "1000000"),
    "logFormat": ("text", "text"),
    "logLevel": ("debug", "debug"),
}
"""What each is set to, and the text of its variable."""

REFUSED: list[tuple[str, Any, str, str]] = [
    (
        "replicas",
        2,
        "/replicas",
        "value must be '1 (or 0, to end it for a restore): one pod owns the SQLite file, and a second one would not "
        "start. Give the one more CPU or memory instead (resources)'",
    ),
    ("replica", 1, "", "additional properties 'replica' not allowed"),
    (
        "image.repository",
        "mirror.example.com/angarium:0.1.0",
        "/image/repository",
        "value must be 'where the image is, without tag and digest, such as registry.example.com/platform/angarium'",
    ),
    ("image.tag", 1.5, "/image/tag", "value must be 'a tag such as 0.1.0, in quotes if it looks like a number'"),
    ("image.digest", "abc", "/image/digest", "value must be 'a digest such as sha256: and 64 hexadecimal digits'"),
    ("image.pullPolicy", "Sometimes", "/image/pullPolicy", "value must be one of 'IfNotPresent', 'Always', 'Never'"),
    ("imagePullSecrets", ["pull"], "/imagePullSecrets/0", "got string, want object"),
    ("crds.enabled", "yes", "/crds/enabled", "got string, want boolean"),
    ("watchNamespaces", ["Shop"], "/watchNamespaces/0", "value must be 'the name of a namespace'"),
    ("publicUrl", "queue.example.com", "/publicUrl", "value must be 'a URL such as https://queue.example.com'"),
    ("drainSeconds", "30s", "/drainSeconds", "value must be 'a whole number from 0 to 3600'"),
    ("settings.drain", "5s", "/settings", "additional properties 'drain' not allowed"),
    (
        "settings.resync",
        "0s",
        "/settings/resync",
        "value must be 'a duration of 1s or more in whole numbers with units, such as 30s, 5m or 1d12h'",
    ),
    (
        "settings.orphanGrace",
        "5 minutes",
        "/settings/orphanGrace",
        "value must be 'a duration in whole numbers with units, such as 30s, 5m or 1d12h'",
    ),
    (
        "settings.keepMessages",
        5,
        "/settings/keepMessages",
        "value must be 'a duration of 1m or more in whole numbers with units, such as 5m, 12h or 1d12h'",
    ),
    ("settings.maxBody", 2**31, "/settings/maxBody", "value must be 'a whole number from 1 to 1073741824'"),
    (
        "settings.allowAddress",
        ["all"],
        "/settings/allowAddress/0",
        "value must be 'an address or a range, such as 10.0.0.0/8'",
    ),
    ("settings.logLevel", "trace", "/settings/logLevel", "value must be one of 'debug', 'info', 'warning', 'error'"),
    ("service.type", "ExternalName", "/service/type", "value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"),
    (
        "ingress.enabled",
        True,
        "/ingress/hosts",
        "value must be 'one host name at least, because ingress.enabled is true'",
    ),
    ("persistence.size", "8 GB", "/persistence/size", "value must be 'an amount as Kubernetes writes it, such as 8Gi'"),
    (
        "persistence.accessMode",
        "ReadWriteMany",
        "/persistence/accessMode",
        "value must be one of 'ReadWriteOnce', 'ReadWriteOncePod'",
    ),
    (
        "serviceAccount.name",
        "My Robot",
        "/serviceAccount/name",
        "value must be 'a name of small letters, digits, dashes and dots, at most 253'",
    ),
    (
        "extraEnv",
        [{"name": "ANGARIUM_PORT", "value": "1"}],
        "/extraEnv/0/name",
        "value must be 'another name: ANGARIUM_ variables are made from settings and other values, POD_ ones by the "
        "chart'",
    ),
]
"""Value, what it is set to, where Helm finds fault with it, and its words."""
