"""Damaged files are told with what to do; nothing that was accepted vanishes in silence."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.angarium import Angarium, refuses, run
from tests.support.cluster import wait_for
from tests.support.receiver import Receiver

from angarium.files.users import DEFAULT_USER

PAGE = 4096
MARK = b"a body that can be found in the file"


@pytest.fixture
def angarium(tmp_path: Path) -> Iterator[Angarium]:
    with Angarium(tmp_path, command="dev") as angarium:
        angarium.start()
        yield angarium


def publish(angarium: Angarium, receiver: Receiver, **headers: str) -> int:
    with angarium.client(DEFAULT_USER.token) as client:
        return client.post(f"/v2/publish/{receiver.url('/')}", content=MARK, headers=headers).status_code


def spoil(file: Path, start: int, size: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(start)
        opened.write(random.Random(5).randbytes(size))


def test_a_damaged_log_is_refused_and_its_repair_brings_everything(angarium: Angarium, receiver: Receiver) -> None:
    assert publish(angarium, receiver, **{"Upstash-Delay": "1s"}) == 200
    angarium.kill()
    log = angarium.database.with_name("angarium.db-wal")
    sound = log.read_bytes()
    spoil(log, len(sound) // 2, 100)
    done = run("dev", f"--database={angarium.database}", "--port=0", "--health-port=0")
    refuses(done, str(log), "damaged", "restore the database from a backup")
    log.write_bytes(sound)
    angarium.start()
    receiver.wait_for(1)


def test_a_damaged_page_is_told_when_it_is_met(angarium: Angarium, receiver: Receiver) -> None:
    assert publish(angarium, receiver, **{"Upstash-Delay": "4s"}) == 200
    assert angarium.stop() == 0
    assert not angarium.database.with_name("angarium.db-wal").exists()
    content = angarium.database.read_bytes()
    for page in {content.index(MARK) // PAGE, content.rindex(MARK) // PAGE}:
        spoil(angarium.database, page * PAGE, PAGE)
    angarium.start(ready=False)
    status, text = wait_for(
        lambda: angarium.health("/readyz"), lambda answer: "damaged" in answer[1], within=20, describe="its damage told"
    )
    assert status == 503 and "restore it from a backup" in text
    assert angarium.health("/livez")[0] == 200, "a restart does not help"
    assert angarium.health("/readyz")[0] == 503, "it stays so, whatever can still be read"
    assert receiver.count() == 0
