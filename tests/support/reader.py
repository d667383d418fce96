"""Somebody who follows a page of documentation, with a clone of the project, Helm and kubectl."""

import os
import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.controlplane import ControlPlane
from tests.support.markdown import Block
from tests.support.programs import ROOT
from tests.support.shell import commands, run_all

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


@dataclass(frozen=True, slots=True)
class Page:
    """What a page has its readers do; `not_run` are beginnings of commands that cannot be run in a test, and why."""

    blocks: tuple[Block, ...]
    not_run: Mapping[str, str]

    def commands(self, section: str) -> list[str]:
        """Those of a section that are run, in order."""
        return [text for text in self._commands(section) if not self._left_out(text)]

    def check(self, sections: Collection[str]) -> None:
        """All of the page is followed: AssertionError for a section with commands that is not among these, commands in
        another language, or a reason for a command that is not there."""
        assert {block.heading for block in self.blocks if block.language == "sh"} == {*sections}
        assert {block.language for block in self.blocks} == {"sh", "yaml"}, "no command hides behind another language"
        left_out = [self._left_out(text) for section in sections for text in self._commands(section)]
        assert {*left_out} - {None} == {*self.not_run}, "each of the list is on the page"
        assert left_out.count(None) > len(left_out) / 2

    def _commands(self, section: str) -> list[str]:
        blocks = [block for block in self.blocks if block.heading == section and block.language == "sh"]
        return [one.text for block in blocks for one in commands(block.text)]

    def _left_out(self, text: str) -> str | None:
        return next((start for start in self.not_run if re.match(start, text)), None)


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
