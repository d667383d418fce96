"""What tools that wait make of objects: kstatus itself, and for Argo CD and Flux what we ship for them.

Neither Argo CD nor Flux runs here. Their documentation says how a health check is run, and so it is run here:
argo-cd.readthedocs.io/en/stable/operator-manual/health, fluxcd.io/flux/components/kustomize/kustomizations.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import celpy
import yaml
from lupa import lua51
from tests.support.cluster import ROOT, Object

ARGO_CD = ROOT / "deploy" / "argocd" / "argocd-cm.yaml"
FLUX = ROOT / "deploy" / "flux" / "kustomizations.yaml"
HEALTH = "resource.customizations.health.angarium.dev_"
HEALTHS = {"Healthy", "Progressing", "Degraded", "Suspended"}
IN_ORDER = ("inProgress", "failed", "current")
"""As Flux evaluates its expressions: the first that is true decides."""

# What a script finds in Argo CD, whose Lua is a 5.1: the basic functions and `table`, and of `os` two functions. Texts
# have no methods there, because the library `string` is not opened.
OPENED = {
    *("_G", "_VERSION", "assert", "collectgarbage", "error", "getfenv", "getmetatable", "ipairs", "load", "loadstring"),
    *("newproxy", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawset", "select", "setfenv"),
    *(
        "setmetatable",
        "tonumber",
        "tostring",
        "type",
        "unpack",
        "xpcall",
        "module",
        "require",
        "package",
        "table",
        "os",
    ),
}
RESTRICT = "getmetatable('').__index = nil; os = {time = os.time, date = os.date}; package.loaded.string = nil"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`flux` is the name of the expression that is true."""

    kstatus: str
    argo_cd: str
    flux: str


@dataclass(frozen=True, slots=True)
class Judged:
    """`told` is kstatus' message, `argo_cd_told` the one that Argo CD would show."""

    verdict: Verdict
    told: str
    argo_cd_told: str


@dataclass(frozen=True)
class ReadyChecks:
    """`program` is kstatus."""

    program: Path

    def judge(self, objects: Sequence[Object]) -> list[Judged]:
        return [
            Judged(Verdict(status, *self._others(one)), told, health(self.scripts[one["kind"]], one)[1])
            for one, (status, told) in zip(objects, self._by_kstatus(objects), strict=True)
        ]

    @cached_property
    def scripts(self) -> Mapping[str, str]:
        """By kind."""
        data = yaml.safe_load(ARGO_CD.read_text())["data"]
        return {key.removeprefix(HEALTH): script for key, script in data.items()}

    @cached_property
    def expressions(self) -> Mapping[str, Mapping[str, celpy.Runner]]:
        """By kind, then by name."""
        return {one["kind"]: {name: compiled(one[name]) for name in IN_ORDER} for one in health_check_expressions()}

    def _others(self, one: Object) -> tuple[str, str]:
        status, _ = health(self.scripts[one["kind"]], one)
        return status, first_true(self.expressions[one["kind"]], one)

    def _by_kstatus(self, objects: Sequence[Object]) -> Iterator[tuple[str, str]]:
        documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        done = subprocess.run([self.program], input=documents, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        verdicts = [json.loads(line) for line in done.stdout.splitlines()]
        assert [one["name"] for one in verdicts] == [one["metadata"]["name"] for one in objects]
        yield from ((one["status"], one["message"]) for one in verdicts)


def health(script: str, obj: Object) -> tuple[str, str]:
    """(status, message) by a script as Argo CD runs it: the object is the global `obj`, the answer is returned."""
    lua = restricted()
    lua.globals().obj = as_lua(lua, obj)
    answer = lua.execute(script)
    assert lua51.lua_type(answer) == "table", f"a table is expected, not {answer!r}"
    assert answer.status in HEALTHS, answer.status
    assert set(answer) <= {"status", "message"}
    assert isinstance(answer.message, str) and answer.message
    return answer.status, answer.message


def restricted() -> Any:
    """A Lua 5.1 with nothing in it but what Argo CD lets a script have by default."""
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute(RESTRICT)
    for name in list(lua.globals()):
        if name not in OPENED:
            lua.globals()[name] = None
    return lua


def as_lua(lua: Any, value: object) -> object:
    if isinstance(value, dict):
        return lua.table_from({name: as_lua(lua, inner) for name, inner in value.items()})
    if isinstance(value, list):
        return lua.table_from([as_lua(lua, inner) for inner in value])
    return value


def health_check_expressions() -> list[Object]:
    """Those of the Kustomization that has them."""
    (found,) = (
        one["spec"]["healthCheckExprs"]
        for one in yaml.safe_load_all(FLUX.read_text())
        if "healthCheckExprs" in one["spec"]
    )
    return list(found)


def compiled(expression: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(expression))


def first_true(expressions: Mapping[str, celpy.Runner], obj: Object) -> str:
    """The name of the expression that decides: each sees the object's top-level fields as variables.

    An error, of a field that is not there, would make Flux wait for its timeout: it is not caught.
    """
    fields = {name: celpy.json_to_cel(value) for name, value in obj.items()}
    return next((name for name in IN_ORDER if expressions[name].evaluate(fields)), "none")
