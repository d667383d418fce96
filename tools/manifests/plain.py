"""deploy/*.yaml: the chart as Helm renders it, for those who install without Helm."""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.manifests.chart import CHART, ROOT

NAMESPACE = "angarium"
RELEASE = "angarium"

# Helm keeps no eye on these objects, and no release of the chart goes with them.
_UNTRUE = re.compile(r"^(# Source: .*| +app\.kubernetes\.io/managed-by: Helm| +helm\.sh/chart: .*)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Plain:
    """One file of manifests: what it is for, and the values that it is rendered with."""

    path: Path
    purpose: str
    values: tuple[str, ...]


FILES = (
    Plain(ROOT / "deploy" / "cluster.yaml", "Angarium for all namespaces of a cluster.", ()),
    Plain(
        ROOT / "deploy" / "namespaced.yaml",
        "Angarium for the objects of its own namespace, without any right in the whole cluster.",
        (f"watchNamespaces={{{NAMESPACE}}}",),
    ),
)

_HEAD = """\
# {purpose}
# Made by `make manifests` from charts/angarium, which has a value for everything that one may want to change.
#   kubectl create namespace {namespace}
#   kubectl apply -f crds/ -f deploy/{name}
# Another namespace, image or size: a kustomization with this file among its resources.
"""


def text(file: Plain, helm: Path) -> str:
    """The whole file. Raises CalledProcessError with Helm's own words in `stderr`."""
    settings = [argument for value in ("crds.enabled=false", *file.values) for argument in ("--set", value)]
    with tempfile.TemporaryDirectory() as home:
        rendered = subprocess.run(
            [helm, "template", RELEASE, CHART, "--namespace", NAMESPACE, *settings],
            env={"PATH": os.environ.get("PATH", ""), "HOME": home}, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    head = _HEAD.format(purpose=file.purpose, name=file.path.name, namespace=NAMESPACE)
    return head + _UNTRUE.sub("", rendered)
