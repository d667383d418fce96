"""All that a node is made of, found in the cache or brought there: programs from Go modules, packages from Debian."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.controlplane import build
from tools.controlplane.build import ControlPlaneMissing, Module, say
from tools.node import debian, machine
from tools.node.debian import PackagesMissing, Unpacked

MODULES = (build.CONTROL_PLANE, build.NODE, build.COREDNS, build.PAUSE, build.HELM)
CONFIGURATION = Path(__file__).with_name("configuration")


class PartsMissing(Exception):
    """A node cannot be started; the text says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Folders with the programs, by module, and the unpacked packages."""

    programs: dict[str, Path]
    packages: Unpacked

    @property
    def control_plane(self) -> Path:
        return self.programs[build.CONTROL_PLANE.name]

    def program(self, module: Module, name: str) -> Path:
        return self.programs[module.name] / name

    @property
    def environment(self) -> dict[str, str]:
        """What the node's programs find each other by."""
        return self.packages.environment(*self.programs.values())


def locate() -> Parts:
    """What there is already. Raises PartsMissing if that is not all."""
    programs = {module.name: build.locate(module) for module in MODULES}
    packages = debian.locate()
    missing = [module.title for module in MODULES if programs[module.name] is None]
    missing += ["Debian packages"] if packages is None else []
    if missing or packages is None:
        raise PartsMissing(f"missing: {', '.join(missing)}. Run `make node-parts` first")
    return Parts({name: folder for name, folder in programs.items() if folder}, packages)


def bring() -> Parts:
    """Build and fetch what is missing. Raises PartsMissing."""
    try:
        programs = {module.name: build.locate(module) or build.build(module) for module in MODULES}
        return Parts(programs, debian.locate() or debian.fetch())
    except (ControlPlaneMissing, PackagesMissing) as missing:
        raise PartsMissing(str(missing)) from missing


def required() -> Parts:
    """For tests: in CI, where all has been brought before, a missing part is an error and not a reason to build."""
    return locate() if os.environ.get("CI") == "true" else bring()


def main() -> None:
    obstacle = machine.this_machine().obstacle()
    if obstacle:
        say(f"no parts of a node are fetched: {obstacle}")
        return
    try:
        bring()
    except PartsMissing as missing:
        sys.exit(f"no test node: {missing}")


if __name__ == "__main__":
    main()
