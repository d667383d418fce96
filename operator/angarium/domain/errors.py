"""The one tree of errors. Foreign exceptions are translated into it at three edges: the sender, the store, kube."""

from angarium.domain.reasons import FailureReason, ReferenceReason


class AngariumError(Exception):
    """What every error of ours is. Its text is written for the person who must act."""


class SettingsError(AngariumError):
    """The program cannot start as it is configured; the process ends with exit code 2."""


class StoreError(AngariumError):
    """The database could not do what it was asked; nothing of that call is stored."""


class StoreUnusable(StoreError):
    """The database cannot be used at all: unreadable, newer than this program, held by another one (exit code 2)."""


class StoreInUse(StoreUnusable):
    """Another program has the database."""


class StoreUnwritable(StoreUnusable):
    """It cannot be opened as its volume is now: full, read-only, missing, or another user's. Later it may be; nothing
    of it was changed or made anew."""


class StoreFull(StoreError):
    """The disk is full or the database is read-only; the publisher may try again later."""


class InvalidInput(AngariumError):
    """Input that a person or a program gave us and that cannot be accepted.

    `field` names what is wrong: a header, a query parameter, a path in a manifest.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


class NotFound(AngariumError):
    """What was asked for does not exist, or belongs to another tenant."""


class Conflict(AngariumError):
    """What was asked for contradicts what is; asking again changes nothing."""


class OwnedByResource(Conflict):
    """The object is declared by a resource, so only there can it be changed."""

    def __init__(self, kind: str, namespace: str, name: str) -> None:
        super().__init__(f"{kind} {name!r} is declared by a resource in namespace {namespace!r}: change it there")
        self.kind = kind
        self.namespace = namespace
        self.name = name


class LimitExceeded(AngariumError):
    """A tenant's limit is reached (messages waiting, bytes stored); the publisher may try again later."""

    def __init__(self, text: str, limit: int) -> None:
        super().__init__(text)
        self.limit = limit


class QuotaReached(AngariumError):
    """A tenant has as many objects of a kind as it may make; it has to delete one first."""


class ReferenceUnavailable(AngariumError):
    """A Secret or ConfigMap cannot be read just now and no cached value serves: try again, it costs no retry.

    `forbidden`: the API server refuses it to the operator, so somebody has to grant it.
    """

    def __init__(self, text: str, *, forbidden: bool = False) -> None:
        super().__init__(text)
        self.forbidden = forbidden


class ReferenceMissing(AngariumError):
    """A Secret, a ConfigMap or a key in one of them does not exist. `reason` is the condition reason."""

    def __init__(self, reason: ReferenceReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class SenderLost(AngariumError):
    """What sends ended with a request on its way, so what became of it is not known: try again, it costs no retry."""


class SendError(AngariumError):
    """An attempt that got no HTTP response: the reason, and what happened (≤ 256 characters)."""

    def __init__(self, reason: FailureReason, text: str) -> None:
        super().__init__(text[:256])
        self.reason = reason
