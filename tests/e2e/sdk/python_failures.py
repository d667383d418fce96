"""How each public method of the Python SDK has to fail, on either client."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that has to raise, with this status and these words in the text."""

    status: int
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    says: str = ""
    known: bool = True


STRANGER = Failure(401, known=False)
NOBODY = "nobody"
FAILURES: dict[str, Failure] = {
    "message.publish": Failure(400, options={"url": "ftp://example.com"}),
    "message.publish_json": Failure(
        400, options={"url": "https://example.com", "retry_delay": "2 +"}, says="Retry-Delay"
    ),
    "message.enqueue": Failure(400, options={"queue": "a b", "url": "https://example.com"}),
    "message.enqueue_json": Failure(
        400, options={"queue": "q", "url": "https://example.com", "callback": "example.com"}, says="Callback"
    ),
    "message.batch": Failure(400, ([{"url": "https://example.com", "queue": 5}],), says="queue"),
    "message.batch_json": Failure(401, ([{"body": {}, "url": "https://example.com"}],), known=False),
    "message.get": Failure(404, ("msg_" + NOBODY,)),
    "message.cancel": Failure(404, ("msg_" + NOBODY,)),
    "message.cancel_many": Failure(401, (["msg_" + NOBODY],), known=False),
    "message.cancel_all": STRANGER,
    "dlq.list": Failure(400, options={"cursor": "no cursor"}, says="cursor"),
    "dlq.get": Failure(404, ("1-0",)),
    "dlq.delete": Failure(404, ("1-0",)),
    "dlq.delete_many": Failure(401, (["1-0"],), known=False),
    "log.list": Failure(400, options={"cursor": "no cursor"}, says="cursor"),
    "flow_control.get": Failure(404, (NOBODY,)),
    "flow_control.get_global_parallelism": STRANGER,
    "flow_control.pause": Failure(401, (NOBODY,), known=False),
    "flow_control.resume": Failure(401, (NOBODY,), known=False),
    "flow_control.pin": Failure(400, (NOBODY, {"parallelism": 0}), says="parallelism"),
    "flow_control.unpin": Failure(401, (NOBODY, {"rate": True}), known=False),
    "flow_control.reset_rate": Failure(401, (NOBODY,), known=False),
    "queue.upsert": Failure(400, ("a b",)),
    "queue.get": Failure(404, (NOBODY,)),
    "queue.list": STRANGER,
    "queue.delete": Failure(401, (NOBODY,), known=False),
    "queue.pause": Failure(404, (NOBODY,)),
    "queue.resume": Failure(404, (NOBODY,)),
    "schedule.create": Failure(400, options={"destination": "https://example.com", "cron": "61 * * * *"}, says="Cron"),
    "schedule.create_json": Failure(400, options={"destination": "ftp://example.com", "cron": "1 1 1 1 1"}),
    "schedule.get": Failure(404, (NOBODY,)),
    "schedule.list": STRANGER,
    "schedule.delete": Failure(401, (NOBODY,), known=False),
    "schedule.pause": Failure(404, (NOBODY,)),
    "schedule.resume": Failure(404, (NOBODY,)),
    "signing_key.get": STRANGER,
    "signing_key.rotate": STRANGER,
    "url_group.upsert_endpoints": Failure(400, ("group", [{"url": "ftp://example.com"}])),
    "url_group.remove_endpoints": Failure(401, ("group", [{"name": "one"}]), known=False),
    "url_group.get": Failure(404, (NOBODY,)),
    "url_group.list": STRANGER,
    "url_group.delete": Failure(401, (NOBODY,), known=False),
}
