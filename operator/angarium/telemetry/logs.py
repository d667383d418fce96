"""Log lines: JSON with an `action` key, a stable word `noun.verb` that docs/operations.md lists.

Whoever logs gives `extra={"action": …}`, with `"about"`, the message or the object that the line is about, if it is
about one.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

from angarium.domain.declarations import ObjectRef
from angarium.domain.destinations import without_secrets
from angarium.domain.messages import Message, Outcome, Result
from angarium.domain.notices import AttemptEnded, Notice

FIELDS = ("action", "namespace", "outcome", "attempt", "status", "url", "error", "loop")
"""What a line may have besides time, level, logger, message, what it is about, and an exception; nothing else."""

FOREIGN_ACTION = "library.log"


class AttemptLog:
    """Implements `domain.notices.Observer`: a log line for what somebody may look for by message id."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("angarium.delivery")

    def notice(self, notices: list[Notice]) -> None:
        if not self._logger.isEnabledFor(logging.INFO):
            return
        for notice in notices:
            if isinstance(notice, AttemptEnded) and notice.outcome.result is not Result.DELIVERED:
                self._line(notice.outcome)

    def _line(self, outcome: Outcome) -> None:
        attempt, message = outcome.attempt, outcome.leased.message
        fields: dict[str, Any] = {}
        if attempt is not None:
            fields = {"url": without_secrets(attempt.url), "attempt": attempt.number, "error": attempt.error or None}
            fields["status"] = attempt.response.status if attempt.response else None
        self._logger.info(
            "%s of message %s",
            outcome.result.value,
            message.id,
            extra={
                "action": "attempt.end",
                "about": message,
                "outcome": outcome.result.value.lower(),
                **fields,
            },
        )


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "action": FOREIGN_ACTION,
            "message": record.getMessage(),
        }
        given = record.__dict__
        line |= _named(given.get("about"))
        line |= {name: given[name] for name in FIELDS if given.get(name) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _named(about: object) -> dict[str, str]:
    if isinstance(about, Message):
        return {"message_id": about.id, "namespace": about.namespace}
    return {"object": str(about), "namespace": about.namespace} if isinstance(about, ObjectRef) else {}


def set_up_logging(form: str, level: str) -> None:
    """Log lines go to standard error; Kopf and the HTTP libraries speak only of warnings."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")
    text.converter = time.gmtime
    handler.setFormatter(JsonLines() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("kopf", "aiohttp", "asyncio", "kubernetes"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # "OS signals are ignored", as intended
