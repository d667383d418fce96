"""What people change while the operator is killed and started again, and what has to come of it."""

import itertools
import random
from datetime import UTC, datetime, timedelta

from tests.support.stage import Stage, rfc3339


class Edits:
    """`values` of run-now that were given, `onces` that were made, uids of what was `deleted`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._numbers = itertools.count(1)
        self.values: list[str] = []
        self.onces: list[str] = []
        self.deleted: list[str] = []
        self.tokens: list[str] = ["app"]
        self._fleeting = ""

    def any(self, chance: random.Random) -> None:
        """One change of the many."""
        chance.choice([
            self.new_once, self.new_secret, self.new_body, self.new_text, self.new_headers, self.new_places,
            self.new_timing, self.new_suspend, self.new_token_or_none,
        ])()  # fmt: skip

    def new_once(self) -> None:
        """A Schedule with a date that is near; its deadline lets it fire late."""
        name = f"once-{next(self._numbers)}"
        at = datetime.now(UTC) + timedelta(seconds=1.5)
        where = {"url": self._stage.receiver.url(f"/{name}")}
        self._stage.apply("Schedule", name, {"at": rfc3339(at), "startingDeadlineSeconds": 3600, "destination": where})
        self.onces.append(name)

    def new_fleeting(self) -> None:
        """Deleted and made anew under the same name: another object, which knows nothing of the slots of the last."""
        self.no_fleeting()
        url = self._stage.receiver.url(f"/fleeting-{next(self._numbers)}")
        made = self._stage.apply("Schedule", "fleeting", {"every": "1s", "destination": {"url": url}})
        self._fleeting = made["metadata"]["uid"]

    def no_fleeting(self) -> None:
        if self._fleeting:
            self._stage.delete("Schedule", "fleeting")
            self.deleted.append(self._fleeting)
            self._fleeting = ""

    def new_secret(self) -> None:
        self._stage.secret("auth", header=f"Bearer {next(self._numbers)}")

    def new_body(self) -> None:
        """Of a Schedule of which no slot may be lost: its timing stays."""
        self._stage.change("Schedule", "second", body={"text": f"version {next(self._numbers)}"})

    def new_text(self) -> None:
        self._stage.write("ConfigMap", "text", {"body": f"version {next(self._numbers)}"})

    def new_headers(self) -> None:
        header = {"name": "X-Version", "value": str(next(self._numbers))}
        self._stage.change("Endpoint", "left", headers=[header])

    def new_places(self) -> None:
        self._stage.change("Queue", "line", parallelism=1 + next(self._numbers) % 3)

    def new_timing(self) -> None:
        self._stage.change("Schedule", "edited", every=f"{1 + next(self._numbers) % 2}s")

    def new_suspend(self) -> None:
        suspended = self._stage.get("Schedule", "edited")["spec"].get("suspend", False)
        self._stage.change("Schedule", "edited", suspend=not suspended)

    def new_token(self) -> None:
        name = f"token-{next(self._numbers)}"
        self._stage.apply("Token", name, {})
        self.tokens.append(name)

    def new_token_or_none(self) -> None:
        if len(self.tokens) > 1:
            self._stage.delete("Token", self.tokens.pop())
        else:
            self.new_token()

    def new_value(self) -> None:
        """Of run-now; a value that comes before the last one is obeyed would replace it."""
        obeyed = {request.header("Upstash-Message-Id") for request in self._stage.receiver.received("/asked")}
        if len(obeyed) >= len(self.values):
            value = f"value-{next(self._numbers)}"
            self._stage.run_now("asked", value)
            self.values.append(value)
