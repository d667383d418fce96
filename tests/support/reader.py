"""Somebody who follows a page of documentation, with a clone of the project, Helm and kubectl."""

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.controlplane import ControlPlane
from tests.support.markdown import Block
from tests.support.programs import ROOT
from tests.support.shell import run_all

_FILE = re.compile(r"# ([\w-]+\.yaml)\n")


@dataclass(frozen=True, slots=True)
class Reader:
    """What is run is run in `folder`."""

    control_plane: ControlPlane
    folder: Path
    environment: dict[str, str]

    def run(self, *texts: str) -> str:
        """Commands in one shell; returns what they printed. AssertionError with their words if one fails."""
        done = run_all(list(texts), self.folder, self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def try_to(self, *texts: str) -> None:
        """The same, whatever they end with."""
        run_all(list(texts), self.folder, self.environment)


def reader_of(
    page: Iterable[Block], needed: Iterable[str], control_plane: ControlPlane, folder: Path, helm: Path
) -> Reader:
    """`needed` of the project is in `folder`, and each file that the page shows under its name; `helm` is a folder."""
    for name in needed:
        shutil.copytree(ROOT / name, folder / name)
    for block in page:
        if block.language == "yaml" and (found := _FILE.match(block.text)):
            (folder / found[1]).write_text(block.text)
    environment = dict(control_plane.kubectl_environment())
    environment["PATH"] = os.pathsep.join([str(control_plane.assets), str(helm), environment["PATH"]])
    return Reader(control_plane, folder, environment)
