"""What the status writer is to write: the status service's answers, with what only the operator knows of Tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.ports import Clock
from angarium.kube.status import Desired, Status
from angarium.kube.tokens import TokenSecrets
from angarium.resources import manifest
from angarium.service.statuses import Statuses, StatusInput

RECHECK_S = 15.0

LookAgain = Callable[[Sequence[ObjectRef], float], None]
"""Asks for these statuses once more after so many seconds."""


class DesiredStatuses:
    """What the status of an object should be now."""

    def __init__(self, statuses: Statuses, tokens: TokenSecrets, clock: Clock, look_again: LookAgain) -> None:
        self._statuses = statuses
        self._tokens = tokens
        self._clock = clock
        self._look_again = look_again

    async def of(self, known: Mapping[ObjectRef, list[Status]]) -> Mapping[ObjectRef, Desired]:
        """By object, given the conditions that stand there now; objects that have gone are left out."""
        inputs = await self._statuses.desired(list(known))
        unresolved = [ref for ref, one in inputs.items() if one.recheck]
        if unresolved:
            self._look_again(unresolved, RECHECK_S)
        return {ref: self._desired(self._with_secret(ref, one), known[ref]) for ref, one in inputs.items()}

    def _with_secret(self, ref: ObjectRef, one: StatusInput) -> StatusInput:
        if ref.kind is not Kind.TOKEN:
            return one
        view, problems = self._tokens.outcome(ref)
        return replace(one, view=view, problems=problems)

    def _desired(self, one: StatusInput, previous: list[Status]) -> Desired:
        status = manifest.status(one.declared, one.view, one.problems, previous, self._clock.now())
        failing = status.get("lastResult") == "Failed" or bool(status.get("consecutiveFailures"))
        return Desired(one.declared.uid, status, failing)
