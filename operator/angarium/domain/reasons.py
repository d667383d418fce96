"""Every reason that a person may meet, each word once: in conditions, attempts, runs, Events, and queues that stand.

What each of them means and what to do is told by docs/troubleshooting.md: a new member needs its text there
(`tools/docs/reasons.yaml`) and a test that makes it occur (`tests/cluster/test_reasons.py`).
"""

from enum import StrEnum
from typing import NewType


class ConditionType(StrEnum):
    """What a condition speaks of."""

    READY = "Ready"
    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    REACHABLE = "Reachable"


class StateReason(StrEnum):
    """Of a condition that is as it should be, or that nothing can be said of yet."""

    PENDING = "Pending"
    ACCEPTED = "Accepted"
    NOT_ACCEPTED = "NotAccepted"
    RESOLVED_REFS = "ResolvedRefs"
    READY = "Ready"
    SUSPENDED = "Suspended"
    COMPLETED = "Completed"
    NO_DELIVERIES = "NoDeliveries"
    DELIVERED = "Delivered"


class SpecReason(StrEnum):
    """`Accepted=False`: which rule the spec breaks."""

    INVALID_URL = "InvalidURL"
    INVALID_METHOD = "InvalidMethod"
    INVALID_HEADER = "InvalidHeader"
    INVALID_DURATION = "InvalidDuration"
    INVALID_RETRY_LIMIT = "InvalidRetryLimit"
    INVALID_RETRY_DELAY = "InvalidRetryDelay"
    INVALID_CRON = "InvalidCron"
    INVALID_TIME_ZONE = "InvalidTimeZone"
    INVALID_INTERVAL = "InvalidInterval"
    INVALID_TIME = "InvalidTime"
    INVALID_JITTER = "InvalidJitter"
    INVALID_BODY = "InvalidBody"
    INVALID_CONTENT_TYPE = "InvalidContentType"
    INVALID_LABEL = "InvalidLabel"
    INVALID_FLOW_CONTROL = "InvalidFlowControl"
    INVALID_PARALLELISM = "InvalidParallelism"
    INVALID_CALLBACK = "InvalidCallback"
    INVALID_REDACTION = "InvalidRedaction"
    INVALID_SPEC = "InvalidSpec"

    @classmethod
    def _missing_(cls, value: object) -> "SpecReason":
        """Another version may have stored another word; the next resync puts it right."""
        return cls.INVALID_SPEC


class ReferenceReason(StrEnum):
    """`ResolvedRefs` is not True: what is missing, or what is wrong with it."""

    ENDPOINT_NOT_FOUND = "EndpointNotFound"
    TOPIC_NOT_FOUND = "TopicNotFound"
    TOPIC_NOT_ACCEPTED = "TopicNotAccepted"
    QUEUE_NOT_FOUND = "QueueNotFound"
    QUEUE_NOT_ACCEPTED = "QueueNotAccepted"
    SECRET_NOT_FOUND = "SecretNotFound"
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    REFERENCE_FORBIDDEN = "ReferenceForbidden"
    REFERENCE_UNAVAILABLE = "ReferenceUnavailable"
    SECRET_CONFLICT = "SecretConflict"
    SECRET_UNREADABLE = "SecretUnreadable"
    SECRET_NOT_WRITTEN = "SecretNotWritten"
    KEY_MISMATCH = "KeyMismatch"
    TOKEN_IN_USE = "TokenInUse"


class FailureReason(StrEnum):
    """Why an attempt got no response, or why a message was given up without one. Texts of errors begin with it."""

    TIMEOUT = "Timeout"
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_ERROR = "ConnectionError"
    DNS_ERROR = "DnsError"
    TLS_ERROR = "TlsError"
    PROTOCOL_ERROR = "ProtocolError"
    ADDRESS_NOT_ALLOWED = "AddressNotAllowed"
    INVALID_URL = "InvalidUrl"
    INVALID_HEADER = "InvalidHeader"
    SECRET_NOT_FOUND = "SecretNotFound"
    INTERNAL_ERROR = "InternalError"
    ENDPOINT_DELETED = "EndpointDeleted"
    NO_RESPONSE = "NoResponse"

    @classmethod
    def _missing_(cls, value: object) -> "FailureReason":
        """Another version may have stored another word."""
        return cls.NO_RESPONSE


class RunReason(StrEnum):
    """Why a run could not start. It is the reason of the Event that tells of it, too."""

    REF_NOT_FOUND = "RefNotFound"
    BODY_TOO_LARGE = "BodyTooLarge"
    LIMIT_EXCEEDED = "LimitExceeded"
    INTERNAL_ERROR = "InternalError"


class EventReason(StrEnum):
    """Reasons of Events, beside those of runs."""

    DELIVERY_FAILED = "DeliveryFailed"
    SLOTS_MISSED = "SlotsMissed"
    SLOTS_FORBIDDEN = "SlotsForbidden"
    CLOCK_RESET = "ClockReset"
    TAKEN_OVER = "TakenOver"
    PLACE_FREED = "PlaceFreed"
    CRD_MISSING = "CrdMissing"
    RIGHTS_MISSING = "RightsMissing"
    ALL_GRANTED = "AllGranted"


class SkipReason(StrEnum):
    """Why slots will never run."""

    MISSED = "Missed"
    FORBIDDEN = "Forbidden"


class BlockReason(StrEnum):
    """Why a queue does not move on (`blockedBy`)."""

    RETRY = "Retry"
    CALLBACK = "Callback"
    ENDPOINT_SUSPENDED = "EndpointSuspended"
    FLOW_CONTROL = "FlowControl"
    DELAY = "Delay"


StatusReason = NewType("StatusReason", str)
"""A response's status as a reason: `HTTP503`."""

ConditionReason = StateReason | SpecReason | ReferenceReason | FailureReason | StatusReason
"""All that may stand as the reason of a condition."""


def status_reason(status: int) -> StatusReason:
    return StatusReason(f"HTTP{status}")
