"""Debian packages that a node needs, unpacked in the cache: the machine's own packages stay as they are.

`apt-get` works as it is set up on this machine. Its lists of packages are used where there are some; else they are
fetched into the cache, and the machine's stay as they were.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cache import COMPLETE, cached, fingerprint
from tools.controlplane.build import cache_root, say

# curl is for the commands of documentation, which are run as they stand there.
PACKAGES = ("containerd", "runc", "containernetworking-plugins", "nftables", "iproute2", "curl")
TOOLS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "nft", "ip", "curl")
NAME = "debian"


class PackagesMissing(Exception):
    """apt-get could not bring the packages; the text says what it said, and what to do."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A folder with the files of the packages, as they would be below /."""

    folder: Path

    @property
    def network_plugins(self) -> Path:
        return self.folder / "usr" / "lib" / "cni"

    @property
    def programs(self) -> list[Path]:
        return [self.folder / name for name in ("usr/bin", "usr/sbin", "bin", "sbin")]

    def environment(self, *folders: Path) -> dict[str, str]:
        """How programs find these ones, and those in `folders`, and their libraries."""
        programs = [*folders, *self.programs]
        libraries = [*self.folder.glob("usr/lib/*-linux-gnu*"), *self.folder.glob("lib/*-linux-gnu*")]
        return {
            "PATH": os.pathsep.join([*map(str, programs), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]),
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        }


def locate() -> Unpacked | None:
    """What is in the cache in the versions that apt-get offers now, or None if it has to be fetched first."""
    files = offered()
    folder = root() / fingerprint(map(str.encode, files))
    return Unpacked(folder) if files and (folder / COMPLETE).exists() else None


def fetch() -> Unpacked:
    """Download and unpack into the cache."""
    if not offered():
        update()
    try:
        return unpack(offered())
    except PackagesMissing:  # lists that are older than the archive name files that are gone
        update()
        return unpack(offered())


def unpack(files: list[str]) -> Unpacked:
    """The packages in these versions, which decide where in the cache they are."""

    def fill(folder: Path) -> None:
        say(f"fetching {len(files)} Debian packages for the test node, cached afterwards in {folder}")
        with tempfile.TemporaryDirectory(dir=folder) as archives:
            apt("download", *(name.partition("_")[0] for name in files), cwd=Path(archives))
            for archive in sorted(Path(archives).glob("*.deb")):
                run(["dpkg-deb", "--extract", archive, folder])
        path = os.pathsep.join(map(str, Unpacked(folder).programs))
        lacking = [name for name in TOOLS if not shutil.which(name, path=path)]
        if lacking:
            raise PackagesMissing(f"{', '.join(PACKAGES)} were unpacked, and there is no {', '.join(lacking)} in them")

    return Unpacked(cached(NAME, map(str.encode, files), fill))


def offered() -> list[str]:
    """Names of the archives, with their versions, of the packages and of what they depend on and the machine lacks;
    none if apt-get has no lists of packages."""
    try:
        answer = apt(
            "install", "--print-uris", "--reinstall", "--no-install-recommends", "--yes", "--quiet=2",
            "--option=Debug::NoLocking=true", *PACKAGES,
        )  # fmt: skip
    except PackagesMissing:
        return []
    # A line is: 'URI' FILE SIZE HASH
    return sorted(line.split()[1] for line in answer.splitlines() if line.startswith("'"))


def update() -> None:
    """Fetch lists of packages into the cache, which apt-get uses from then on."""
    say("fetching Debian's lists of packages, for the test node only")
    (lists() / "partial").mkdir(parents=True, exist_ok=True)
    apt("update", "--quiet=2")


def apt(command: str, *arguments: str, cwd: Path | None = None) -> str:
    private = {"Dir::State::lists": lists(), "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": ""}
    options = [f"--option={name}={value}" for name, value in private.items()] if lists().exists() else []
    return run(["apt-get", *options, command, *arguments], cwd=cwd)


def run(command: Iterable[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PackagesMissing(f"there is no {words[0]} on this machine") from None
    if done.returncode:
        raise PackagesMissing(
            f"`{' '.join(words)}` ended with {done.returncode}:\n{done.stderr.strip()}\n"
            "The packages come through apt-get as this machine has it: try `apt-get update`, and this again."
        )
    return done.stdout


def lists() -> Path:
    return root() / "lists"


def root() -> Path:
    return cache_root() / NAME
