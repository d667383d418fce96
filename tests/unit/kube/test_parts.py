"""What asks for a second look at a status, and how often."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.support.fakes import FakeClock

from angarium.domain.declarations import Kind, ObjectRef
from angarium.kube.parts import Parts, Planes, Scope

LINE, OTHER = (ObjectRef(Kind.QUEUE, "shop", name) for name in ("line", "other"))


class FakeReferences:
    def forget_namespace(self, namespace: str) -> None: ...


def parts() -> Parts:
    nobody: Any = None
    references: Any = FakeReferences()
    planes = Planes(nobody, nobody, nobody, references, FakeClock())
    return Parts(nobody, Scope(["shop"], timedelta(minutes=5), ""), planes, asyncio.get_running_loop())


@pytest.mark.looptime
async def test_a_second_look_is_taken_once_however_often_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look asks for the next one: what busy queues ask for besides must not add up."""
    one = parts()
    looks: list[list[ObjectRef]] = []
    monkeypatch.setattr(one.status, "touch", lambda refs: looks.append(list(refs)))
    for _ in range(100):
        one._look_again([LINE], 15.0)
    one._look_again([LINE, OTHER], 15.0)
    await asyncio.sleep(16)
    assert looks == [[LINE], [OTHER]]
    one._look_again([LINE], 15.0)
    await asyncio.sleep(16)
    assert looks == [[LINE], [OTHER], [LINE]]
