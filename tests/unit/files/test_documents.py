import errno
import json
import os
from pathlib import Path

import pytest

from angarium.files.documents import MAX_FILE_BYTES, read, stamps

ENDPOINT = "apiVersion: angarium.dev/v1alpha1\nkind: Endpoint\nmetadata: {name: NAME}\nspec: {url: 'http://a.test'}\n"


def endpoint(name: str) -> str:
    return ENDPOINT.replace("NAME", name)


def names(*paths: Path) -> list[str]:
    return [document.manifest["metadata"]["name"] for document in read(paths).documents]


def test_files_and_folders(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "c.txt"):
        (tmp_path / name).write_text(endpoint(name.rpartition(".")[0]))
    (tmp_path / "c.json").write_text(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}}))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "d.yaml").write_text(endpoint("d"))
    assert names(tmp_path) == ["a", "b", "c"]
    assert names(tmp_path / "c.txt", tmp_path / "below") == ["c", "d"]
    assert set(stamps([tmp_path])) == {tmp_path / "a.yml", tmp_path / "b.yaml", tmp_path / "c.json"}


def test_stamps_change_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    before = stamps([file])
    file.write_text("a")
    written = stamps([file])
    file.write_text("ab")
    assert len({str(before), str(written), str(stamps([file]))}) == 3


def test_documents_know_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"# first\n{endpoint('a')}---\n{endpoint('b')}---\n---\n")
    documents = read([file]).documents
    assert [document.line for document in documents] == [2, 7]
    assert str(documents[1].finding("spec.url", "is bad")) == f"{file}:10: spec.url: is bad"
    assert str(documents[0].finding("", "is bad")) == f"{file}:2: is bad"


def test_lists_are_taken_apart(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    items = [f"- {text.replace(chr(10), chr(10) + '  ').rstrip()}\n" for text in (endpoint("a"), endpoint("b"))]
    file.write_text("apiVersion: v1\nkind: List\nitems:\n" + "".join(items))
    assert names(file) == ["a", "b"]
    assert [document.line for document in read([file]).documents] == [4, 8]


def test_other_kinds_are_named_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\n"
    file.write_text(other + other + "apiVersion: v1\nkind: Endpoints\n---\n" + endpoint("a"))
    reading = read([file])
    assert names(file) == ["a"]
    assert [str(note).split(": ")[1].split(" is ")[0] for note in reading.notes] == [
        "Deployment (apps/v1)",
        "Endpoints (v1)",
    ]
    assert reading.findings == ()


def test_a_folder_without_manifests_is_named(tmp_path: Path) -> None:
    (note,) = read([tmp_path]).notes
    assert str(note).startswith(f"{tmp_path}: holds no manifests")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"- a\n", ":1: is no manifest"),
        (b"a: [\n", ":2: "),
        (b"metadata: {}\nkind: Endpoint\n", ":1: apiVersion: is missing"),
        (b"apiVersion: v1\n", ":1: kind: is missing"),
        (b"apiVersion: angarium.dev/v1alpha1\nkind: Topics\n", ":2: kind: Topics is not known"),
        (b"a: b\nc: \xff\n", ":2: is not UTF-8"),
        (b"#" * (MAX_FILE_BYTES + 1), ": is larger than 4 MiB"),
    ],
)
def test_what_cannot_be_read_makes_a_file_doubtful(tmp_path: Path, content: bytes, words: str) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_bytes(content)
    good.write_text(endpoint("good"))
    reading = read([tmp_path])
    (finding,) = reading.findings
    assert str(finding).startswith(f"{bad}{words}")
    assert reading.doubtful == {bad}
    assert names(tmp_path) == ["good"]


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    reading = read([tmp_path / "nothing"])
    assert [str(finding) for finding in reading.findings] == [
        f"{tmp_path}/nothing: cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize("given", [Path("."), Path("a.yaml")], ids=["a folder", "a file in a folder"])
def test_a_folder_that_may_not_be_entered(tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(endpoint("a"))
    look = Path.stat

    def refuse(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path == tmp_path:
            return look(path, follow_symlinks=follow_symlinks)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # Not by the mode of a folder: the superuser may enter every one.
    monkeypatch.setattr(Path, "stat", refuse)
    assert len(stamps([tmp_path / given])) == 1
    reading = read([tmp_path / given])
    assert reading.doubtful == ({tmp_path} if given == Path() else set())
