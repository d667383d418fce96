"""Does what operator/Dockerfile says without an engine: runs its build stage in a folder of its own, packs its layers.

Each step of the build stage is kept in the project's cache folder, by what it was made of, as engines do it too.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tools.cache import cached, fingerprint
from tools.image import dockerfile, oci
from tools.image.dockerfile import ASSEMBLE, Recipe, Run, Take

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = Path("operator/Dockerfile")
REPOSITORY = "angarium.dev/angarium"
MADE = "image"
"""The folder of the build stage whose entries are what a step makes."""


class CannotBuild(Exception):
    """This machine or this Dockerfile is not fit for it; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Built:
    """The image, and what it was made with: Python and pip in `tools`, and the key of all that went into it."""

    image: oci.Image
    tools: Path
    key: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The build stage when it has run: a folder for each entry of image/, and the key of the step that made it."""

    folders: Mapping[str, Path]
    keys: Mapping[str, str]


def version(root: Path = ROOT) -> str:
    """Of this project, as pyproject.toml says."""
    found = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return str(found)


def build(root: Path = ROOT, cache: Path | None = None) -> oci.Image:
    """The image alone; see `made`."""
    return made(root, cache).image


def made(root: Path = ROOT, cache: Path | None = None) -> Built:
    """The image of the project in `root`, its layers in the cache, as long as that is there. What the project's own
    cache keeps has the packages that Debian had when it was made. Raises CannotBuild, or DockerfileError."""
    recipe = dockerfile.read(root / DOCKERFILE, {"VERSION": version(root), "REVISION": _revision(root)})
    check_machine(recipe.base)
    stage = _run(recipe, root, cache)
    layers = tuple(_layer(layer, stage, cache) for layer in recipe.layers)
    image = oci.Image(f"{REPOSITORY}:{version(root)}", layers, recipe.config, _created(root))
    return Built(image, stage.folders["tools"], fingerprint(map(str.encode, sorted(stage.keys.values()))))


def check_machine(base: str = "debian:12-slim") -> None:
    """Raise CannotBuild unless this machine is of the kind that the build stage starts from."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    here = f"{system.get('ID')}:{system.get('VERSION_ID')}"
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if here == base.removesuffix("-slim") and not missing:
        return
    why = f"{', '.join(missing)} is missing" if missing else f"this is {here}"
    raise CannotBuild(
        f"`make image` needs Debian 12 with apt-get and dpkg-deb ({why}). Build the image with an engine instead: "
        f"docker build -f {DOCKERFILE} --build-arg VERSION={version()} -t {REPOSITORY}:{version()} ."
    )


def obstacle_to_tests() -> str:
    """Why the tests cannot build the image on this machine, or run its root file system; empty if they can."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or not unshare or subprocess.run([unshare, "--mount", "true"], check=False).returncode:
        return "running the image's root file system needs root and mount namespaces"
    try:
        check_machine()
    except CannotBuild as error:
        return str(error)
    return ""


def _run(recipe: Recipe, root: Path, cache: Path | None) -> Stage:
    folders: dict[str, Path] = {}
    keys: dict[str, str] = {}
    key = recipe.base + platform.machine()
    with tempfile.TemporaryDirectory(prefix="angarium-image-") as name:
        place = Path(name)
        (place / MADE).mkdir()
        for step in recipe.steps:
            if isinstance(step, Take):
                key = fingerprint([key.encode(), *_take(step, root, place)])
            else:
                key = fingerprint([key.encode(), *map(str.encode, step.arguments)])
                for folder in _made(step, key, place, cache).iterdir():
                    if folder.is_dir():
                        (place / MADE / folder.name).symlink_to(folder)
                        folders[folder.name], keys[folder.name] = folder, key
    return Stage(folders, keys)


def _made(step: Run, key: str, place: Path, cache: Path | None) -> Path:
    """The folder with what a step of the build stage has made, from the cache or by running it."""

    def fill(folder: Path) -> None:
        before = set(os.listdir(place / MADE))
        assemble(step.arguments, place)
        for name in set(os.listdir(place / MADE)) - before:
            shutil.move(place / MADE / name, folder / name)

    return cached("image", [key.encode()], fill, cache)


def assemble(arguments: Sequence[str], place: Path) -> None:
    """Run the assembling script in `place`. It speaks on standard error. Raises CannotBuild."""
    done = subprocess.run([place / ASSEMBLE, *arguments], cwd=place, stdout=sys.stderr, check=False)
    if done.returncode:
        raise CannotBuild(
            f"`{ASSEMBLE} {' '.join(arguments)}` ended with {done.returncode}; its own words are above. It needs a way "
            "to Debian's packages (apt) and to the Python packages (pip), as they are set up on this machine."
        )


def _take(step: Take, root: Path, place: Path) -> Iterator[bytes]:
    """Copy as COPY does, without what .dockerignore names; yields names, modes and contents of what it copied."""
    ignored = [line for line in (root / ".dockerignore").read_text().splitlines() if line]
    for source in step.sources:
        into = place / step.target
        if not source.endswith("/"):
            into = into / Path(source).name
        for file in _files(root / source):
            inner = file.relative_to(root / source)
            if _ignored(file.relative_to(root), ignored):
                continue
            target = into / inner if inner.parts else into
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
            mode = "executable" if os.access(file, os.X_OK) else "plain"
            yield from (str(target.relative_to(place)).encode(), mode.encode(), file.read_bytes())


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise CannotBuild(f"{DOCKERFILE}: there is no {source}")
    return sorted(path for path in source.rglob("*") if path.is_file())


def _ignored(path: Path, patterns: Sequence[str]) -> bool:
    """`NAME`: of the top folder; `**/NAME`: anywhere. No other form is in .dockerignore (tests/unit/image)."""
    for pattern in patterns:
        name = pattern.removeprefix("**/")
        if any(fnmatch(part, name) for part in (path.parts if name != pattern else path.parts[:1])):
            return True
    return False


def _layer(layer: dockerfile.Layer, stage: Stage, cache: Path | None) -> oci.Layer:
    folder = layer.source.removeprefix(f"{MADE}/")
    if folder not in stage.folders:
        raise CannotBuild(f"{DOCKERFILE}: no step of the build stage makes {layer.source}")
    entries = oci.entries_of(stage.folders[folder], layer.target, layer.owner, layer.group)
    return packed(entries, [stage.keys[folder], layer.text], layer.text, cache)


def packed(entries: Iterable[oci.Entry], parts: Sequence[str], text: str, cache: Path | None = None) -> oci.Layer:
    """A layer that is packed once for these parts, which are to say all that its entries are made of."""

    def fill(folder: Path) -> None:
        layer = oci.pack(entries, folder / "layer.tar.gz", text)
        (folder / "digests").write_text(f"{layer.digest}\n{layer.diff_id}\n")

    folder = cached("image-layers", [part.encode() for part in parts], fill, cache)
    digest, diff_id = (folder / "digests").read_text().split()
    return oci.Layer(folder / "layer.tar.gz", digest, diff_id, text)


def _revision(root: Path) -> str:
    return _git(root, "rev-parse", "HEAD")


def _created(root: Path) -> int:
    """When it says it was made: SOURCE_DATE_EPOCH, else the last commit's time, so that it says so each time."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or _git(root, "log", "-1", "--format=%ct") or 0)


def _git(root: Path, *arguments: str) -> str:
    """Empty where there is no Git or no repository, as in an archive of the sources."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
