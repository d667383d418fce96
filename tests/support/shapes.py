"""Schedules of every shape, and what a receiver has to see of those of which no slot may be lost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.support.cluster import Object
from tests.support.receiver import Answer, Received
from tests.support.stage import Stage

SLOW_S = 1.4
"""How long the destinations of Forbid and Replace take: longer than from one slot to the next."""

FOR_GOOD: Object = {"missedRunPolicy": "RunAll", "startingDeadlineSeconds": 3600, "historyLimit": 12}
"""Every slot since the creation fires, also of a time in which nothing ran or knew of the object."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A Schedule none of whose slots may be lost, every `step_s` seconds since its creation, or by cron every minute.

    `jitter_s`: a slot may come so much later. `paths`: where each run has to arrive.
    """

    name: str
    step_s: int
    paths: tuple[str, ...]
    spec: Callable[[Stage], Object]
    jitter_s: float = 0.0
    cron: bool = False

    def declare(self, stage: Stage) -> None:
        when: Object = {"cron": "* * * * *"} if self.cron else {"every": f"{self.step_s}s"}
        stage.apply("Schedule", self.name, {**FOR_GOOD, **when, **self.spec(stage)})

    def slots(self, created: datetime, until: datetime) -> Iterator[datetime]:
        """Those after `created`, up to `until`. By arithmetic of the test's own."""
        start = created.replace(second=0, microsecond=0) if self.cron else created
        step = timedelta(seconds=self.step_s)
        slot = start + step
        while slot <= until:
            yield slot
            slot += step


def _url(path: str) -> Callable[[Stage], Object]:
    return lambda stage: {"destination": {"url": stage.receiver.url(path)}}


def _to(endpoint: str, **more: object) -> Callable[[Stage], Object]:
    return lambda _: {"destination": {"endpointRef": {"name": endpoint}}, **more}


def _callbacks(stage: Stage) -> Object:
    return _url("/reporting")(stage) | {"callback": {"url": stage.receiver.url("/told")}}


SHAPES = (
    Shape("second", 1, ("/second",), _url("/second")),
    Shape("secret", 2, ("/secret",), _to("secret")),
    Shape("fanout", 2, ("/left", "/right", "/chosen"), lambda _: {"destination": {"topicRef": {"name": "all"}}}),
    Shape("queued", 1, ("/queued",), _to("queued", queueRef={"name": "line"})),
    Shape(
        "stubborn",
        2,
        ("/stubborn",),
        _to("stubborn", retry={"limit": 10, "delay": "200"}, flowControl={"parallelism": 3}),
    ),
    Shape("jittered", 2, ("/jittered",), lambda stage: _url("/jittered")(stage) | {"jitter": "1s"}, jitter_s=1.0),
    Shape("minutely", 60, ("/minutely",), _url("/minutely"), cron=True),
    Shape("mapped", 3, ("/mapped",), _to("mapped", body={"configMapKeyRef": {"name": "text", "key": "body"}})),
    Shape("reporting", 2, ("/reporting",), _callbacks),
)
"""Of each kind of destination, body and detour one."""

SINGLE = ("forbid", "replace")
"""Those of which no two runs may be active."""

OTHERS = (*SINGLE, "asked", "edited", "failing", "lost")
LOST_REFERENCE = "EndpointNotFound"


def declare(stage: Stage) -> None:
    """All of them, with what they refer to."""
    stage.secret("auth", header="Bearer one")
    stage.write("ConfigMap", "text", {"body": "from a ConfigMap"})
    header = {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "auth", "key": "header"}}}
    stage.endpoint("secret", headers=[header])
    for name in ("left", "right", "queued", "mapped"):
        stage.endpoint(name)
    stage.endpoint("chosen", labels={"chosen": "yes"})
    members = [{"name": name, "endpointRef": {"name": name}} for name in ("left", "right")]
    stage.apply("Topic", "all", {"endpoints": members, "selector": {"matchLabels": {"chosen": "yes"}}})
    stage.apply("Queue", "line", {"parallelism": 1})
    stage.apply("Token", "app", {})
    stage.receiver.judge("/stubborn", _at_the_second_attempt)
    stage.endpoint("stubborn")
    for shape in SHAPES:
        shape.declare(stage)
    _declare_others(stage)


def _at_the_second_attempt(request: Received) -> Answer:
    return Answer(500 if request.header("Upstash-Retried") == "0" else 200)


def _declare_others(stage: Stage) -> None:
    for name, policy in zip(SINGLE, ("Forbid", "Replace"), strict=True):
        stage.endpoint(name, Answer(delay_s=SLOW_S))
        stage.apply("Schedule", name, {"every": "1s", "concurrencyPolicy": policy, **_to(name)(stage)})
    stage.apply("Schedule", "asked", {"cron": "0 0 1 1 *", **_url("/asked")(stage)})
    stage.apply("Schedule", "edited", {"every": "1s", **_url("/edited")(stage)})
    stage.endpoint("failing", 500)
    stage.apply("Schedule", "failing", {"every": "3s", "retry": {"limit": 0}, **_to("failing")(stage)})
    stage.apply("Schedule", "lost", {"every": "5s", **_to("nowhere")(stage)})


def created(stage: Stage, name: str) -> datetime:
    """When the API server made a Schedule; whole seconds."""
    return datetime.fromisoformat(stage.get("Schedule", name)["metadata"]["creationTimestamp"]).astimezone(UTC)
