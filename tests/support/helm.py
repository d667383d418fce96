"""Helm as tests run it: with a home of its own, so that it finds nobody's cluster, and with our chart."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from tests.support.cluster import ROOT, Object

CHART = ROOT / "charts" / "angarium"
RELEASE, NAMESPACE = "angarium", "angarium"

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Helm:
    """`program` with its files in `folder`; without a `kubeconfig` it can render and nothing else."""

    program: Path
    folder: Path
    kubeconfig: Path | None = None

    @cached_property
    def environment(self) -> dict[str, str]:
        own = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder)}
        return own | ({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {})

    def run(self, *args: str | Path, values: Values | None = None) -> subprocess.CompletedProcess[str]:
        """Whatever it ends with; `values` go in as a file of them does."""
        given = ("--values", "-") if values is not None else ()
        return subprocess.run(
            [self.program, *args, *given],
            input=json.dumps(values) if values is not None else None,
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def succeed(self, *args: str | Path, values: Values | None = None) -> str:
        """Its standard output; an AssertionError with its words if it fails."""
        done = self.run(*args, values=values)
        if done.returncode != 0:
            raise AssertionError(f"helm {' '.join(map(str, args))} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def text(self, values: Values, *flags: str, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
        """The chart, rendered."""
        return self.succeed("template", release, CHART, "--namespace", namespace, *flags, values=values)

    def render(self, values: Values, *flags: str, release: str = RELEASE, namespace: str = NAMESPACE) -> list[Object]:
        text = self.text(values, *flags, release=release, namespace=namespace)
        return [found for found in yaml.load_all(text, yaml.CSafeLoader) if found]

    def refusal(self, values: Values, *flags: str) -> list[str]:
        """What it says of values that it does not take, a line for each."""
        done = self.run("template", RELEASE, CHART, *flags, values=values)
        if done.returncode == 0:
            raise AssertionError(f"{values} is taken")
        lines = [line.strip() for line in done.stderr.splitlines()]
        faults = [line.removeprefix("- at ") for line in lines if line.startswith("- at ")]
        return [fault for fault in faults if not fault.endswith(": validation failed")] or lines


def named(objects: list[Object], kind: str) -> list[Object]:
    return [found for found in objects if found["kind"] == kind]


def only(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The one object of this kind (and name); AssertionError if it is not one."""
    found = [one for one in named(objects, kind) if name in (None, one["metadata"]["name"])]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} objects are {kind} {name or ''}, not one")
    return found[0]


def environment_of(objects: list[Object]) -> dict[str, str]:
    """The variables of the container that have a value of their own, with those in it that Kubernetes fills in."""
    (container,) = only(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}
