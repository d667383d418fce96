"""Events about Angarium's own pod: what it lacks, for who looks at `kubectl describe pod` and not into the log."""

from collections.abc import Callable, Sequence

from angarium.domain.pod import Pod
from angarium.domain.ports import Clock
from angarium.domain.reasons import EventReason
from angarium.kube.events import MESSAGE_LENGTH, Told
from angarium.kube.preflight import Lack

AGAIN_S = 600.0
"""What lasts is told again so often: Kubernetes forgets Events after an hour."""
MORE = " … the log and /readyz have all of it"


class PodEvents:
    """Told what is missing at each turn, it tells what is new of it, and when all is there. Without a pod, nothing."""

    def __init__(self, pod: Pod | None, tell: Callable[[Told], None], clock: Clock) -> None:
        self._pod = pod
        self._tell = tell
        self._clock = clock
        self._said: dict[EventReason, tuple[str, float]] = {}

    def lacking(self, lacks: Sequence[Lack]) -> None:
        if self._pod is None:
            return
        now, before = self._clock.monotonic(), self._said
        texts = {reason: _joined(lacks, reason) for reason in dict.fromkeys(lack.reason for lack in lacks)}
        self._said = {}
        for reason, text in texts.items():
            said, at = before.get(reason, ("", now))
            again = text != said or now - at >= AGAIN_S
            self._said[reason] = (text, now if again else at)
            if again:
                self._tell(Told(self._pod, reason, text))
        if before and not texts:
            text = "all CRDs and rights are there: what is declared is followed again"
            self._tell(Told(self._pod, EventReason.ALL_GRANTED, text, warning=False))


def _joined(lacks: Sequence[Lack], reason: EventReason) -> str:
    text = "; ".join(lack.text for lack in lacks if lack.reason is reason)
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - len(MORE)] + MORE
