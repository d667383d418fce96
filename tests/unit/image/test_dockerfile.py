"""What `make image` reads in the Dockerfile, and that it stops at what it would do otherwise than an engine."""

from pathlib import Path

import pytest
from tools.image.build import DOCKERFILE, REPOSITORY, ROOT, version
from tools.image.dockerfile import ASSEMBLE, DockerfileError, Layer, Recipe, Run, Take, read

TEXT = (ROOT / DOCKERFILE).read_text()
VALUES = {"VERSION": "1.2.3", "REVISION": "abc"}


def recipe(tmp_path: Path, text: str) -> Recipe:
    file = tmp_path / "Dockerfile"
    file.write_text(text)
    return read(file, VALUES)


def test_the_projects_own_says_all_that_was_agreed() -> None:
    found = read(ROOT / DOCKERFILE, VALUES)
    assert found.base == "debian:12-slim"
    assert found.config == {
        "Entrypoint": ["angarium"],
        "Cmd": ["run"],
        "User": "65532:65532",
        "Env": ["PATH=/usr/local/bin:/usr/bin"],
        "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}},
        "Volumes": {"/var/lib/angarium": {}},
        "StopSignal": "SIGTERM",
        "Labels": {
            "org.opencontainers.image.title": "Angarium",
            "org.opencontainers.image.description": (
                "HTTP messaging and scheduling for Kubernetes, compatible with the QStash SDKs"
            ),
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.version": "1.2.3",
            "org.opencontainers.image.revision": "abc",
        },
    }
    assert [(layer.source, layer.target, layer.owner, layer.group) for layer in found.layers] == [
        ("image/debian", "", 0, 0),
        ("image/dependencies", "", 0, 0),
        ("image/angarium", "", 0, 0),
        ("image/data", "var/lib/angarium", 65532, 65532),
    ]


def test_it_tells_the_version_of_the_project_in_its_example() -> None:
    assert f"VERSION={version()} -t {REPOSITORY}:{version()}" in TEXT


def test_each_step_of_the_build_stage_is_taken_over() -> None:
    """All of them: so many as lines begin with COPY and RUN before the second FROM."""
    steps = read(ROOT / DOCKERFILE, VALUES).steps
    build = TEXT.split("\nFROM scratch")[0].splitlines()
    assert [f"RUN {ASSEMBLE} {' '.join(step.arguments)}" for step in steps if isinstance(step, Run)] == [
        line for line in build if line.startswith("RUN")
    ]
    assert [f"COPY {' '.join(step.sources)} {step.target}" for step in steps if isinstance(step, Take)] == [
        line for line in build if line.startswith("COPY")
    ]


def test_lines_that_go_on_are_one_instruction(tmp_path: Path) -> None:
    found = recipe(tmp_path, "FROM a:1 AS build\nWORKDIR /b\nCOPY x \\\n  # why\n  y ./\nFROM scratch\n")
    assert found.steps == (Take(("x", "y"), "./"),)


BUILD = "FROM a:1 AS build\nWORKDIR /b\n"
FINAL = "FROM scratch\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FINAL, ("two stages",)),
        (f"FROM a:1\n{FINAL}", ("line 1", "called build")),
        (f"{BUILD}FROM a:1\n", ("line 3", "start from scratch")),
        (f"{BUILD}RUN apt-get install -y curl\n{FINAL}", ("line 3", "apt-get install -y curl", ASSEMBLE)),
        (f"{BUILD}RUN {ASSEMBLE} data image/data && curl x\n{FINAL}", ("line 3", ASSEMBLE)),
        (f"{BUILD}RUN {ASSEMBLE} data $HOME\n{FINAL}", ("line 3", ASSEMBLE)),
        (f'{BUILD}RUN ["{ASSEMBLE}", "data"]\n{FINAL}', ("line 3", ASSEMBLE)),
        (f"{BUILD}RUN --network=none {ASSEMBLE} data x\n{FINAL}", ("line 3", ASSEMBLE)),
        (f"{BUILD}ENV A=1\n{FINAL}", ("line 3", "ENV A=1", "build stage")),
        (f"{BUILD}ADD x y\n{FINAL}", ("line 3", "ADD x y")),
        (f"{BUILD}COPY --chmod=755 x y\n{FINAL}", ("line 3", "plain relative paths")),
        (f"{BUILD}COPY ../x y\n{FINAL}", ("line 3", "plain relative paths")),
        (f"{BUILD}COPY x /usr/bin/\n{FINAL}", ("line 3", "plain relative paths")),
        (f"FROM a:1 AS build\nCOPY x y\n{FINAL}", ("line 2", "build stage")),
        (f"{BUILD}{FINAL}RUN true\n", ("line 4", "RUN true", "final stage")),
        (f"{BUILD}{FINAL}COPY x /\n", ("line 4", "a folder of the build stage")),
        (f"{BUILD}{FINAL}COPY --from=build /etc/ /\n", ("line 4", "a folder of the build stage")),
        (f"{BUILD}{FINAL}COPY --from=build --chmod=755 /b/x/ /\n", ("line 4", "a folder of the build stage")),
        (f"{BUILD}{FINAL}HEALTHCHECK NONE\n", ("line 4", "HEALTHCHECK NONE")),
        (f"{BUILD}{FINAL}ENTRYPOINT angarium\n", ("line 4", "without a shell")),
        (f"{BUILD}{FINAL}CMD [1]\n", ("line 4", "a list in JSON")),
        (f"{BUILD}{FINAL}EXPOSE 53/udp\n", ("line 4", "port numbers")),
        (f"{BUILD}{FINAL}ENV A\n", ("line 4", "NAME=VALUE")),
        (f"{BUILD}{FINAL}LABEL a=${{VERSION}}\n", ("line 4", "${VERSION}")),
        (f"{BUILD}{FINAL}ARG VERSION\nLABEL a=$VERSION\n", ("line 5", "$VERSION")),
        (f"{BUILD}{FINAL}ARG VERSION=1\n", ("line 4", "ARG VERSION=1")),
        (f"{BUILD}{FINAL}ONBUILD USER x\n", ("line 4", "ONBUILD USER x")),
    ],
)
def test_what_it_does_not_know_stops_it(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(DockerfileError) as told:
        recipe(tmp_path, text)
    assert "\n" not in str(told.value)
    for word in ("Dockerfile", *words):
        assert word in str(told.value)


def test_a_layer_tells_its_line(tmp_path: Path) -> None:
    found = recipe(tmp_path, f"{BUILD}{FINAL}COPY --from=build --chown=1:2 /b/image/x/ /srv/x/\n")
    line = "COPY --from=build --chown=1:2 /b/image/x/ /srv/x/"
    assert found.layers == (Layer("image/x", "srv/x", 1, 2, line),)
