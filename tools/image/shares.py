"""What makes the image as large as it is: the share of each package of Debian and of Python."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from tools.image.oci import Entry

STATUS = "var/lib/dpkg/status.d/"
OTHER = "other files"


def shares(entries: Iterable[Entry]) -> Mapping[str, int]:
    """Bytes by package, largest first, each compressed by itself: the sum is a little more than the whole."""
    files = {entry.path: content(entry) for entry in entries if not entry.folder and not entry.link}
    owners = {**of_debian(files), **of_python(files)}
    sizes: defaultdict[str, int] = defaultdict(int)
    for path, text in files.items():
        sizes[owners.get(source_of(path), OTHER)] += len(zlib.compress(text, 9))
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def content(entry: Entry) -> bytes:
    return entry.content if isinstance(entry.content, bytes) else entry.content.read_bytes()


def of_debian(files: Mapping[str, bytes]) -> Mapping[str, str]:
    """Which package a file is of, by the lists that packages bring."""
    lists = {path: text for path, text in files.items() if path.startswith(STATUS) and path.endswith(".md5sums")}
    return {
        line.split(maxsplit=1)[1]: path.removeprefix(STATUS).removesuffix(".md5sums")
        for path, text in lists.items()
        for line in text.decode().splitlines()
    }


def of_python(files: Mapping[str, bytes]) -> Mapping[str, str]:
    """The same by the RECORD of each distribution, whose lines begin with a path beside it."""
    owners = {}
    for path, text in files.items():
        folder = PurePosixPath(path).parent
        if PurePosixPath(path).name == "RECORD" and folder.suffix == ".dist-info":
            for line in text.decode().splitlines():
                owners[str(folder.parent / line.split(",")[0])] = folder.name.partition("-")[0]
    return owners


def source_of(path: str) -> str:
    """Bytecode belongs to whom its source belongs."""
    parts = PurePosixPath(path)
    if parts.parent.name != "__pycache__":
        return path
    return str(parts.parent.parent / f"{parts.name.partition('.')[0]}.py")
