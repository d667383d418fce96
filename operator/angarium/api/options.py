"""Options of a publication, in header form, query form and as a Topic's defaults: one table (contract 4.1–4.8).

A value given twice: the first header line wins, then the first query parameter, then the Topic's default. An unknown
`Upstash-…` is ignored and goes nowhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from angarium.api import option_values as values
from angarium.api.exchange import OPTION_PREFIX
from angarium.api.option_values import OptionLimits, Rules
from angarium.domain.callbacks import refuse_delayed
from angarium.domain.declarations import Callback, DeliveryOptions, Destination, FlowControl, Header, Redaction
from angarium.domain.errors import InvalidInput
from angarium.domain.headers import canonical, connection_names, is_passed_on, valid_name, valid_value
from angarium.domain.messages import Overrides

__all__ = ["OptionLimits", "Options", "read_options"]

FORWARD_PREFIX = "upstash-forward-"
CALLBACK_PREFIX = "upstash-callback-"
FAILURE_PREFIX = "upstash-failure-callback-"

Lines = Sequence[tuple[str, str]]
"""Header lines, names in any case, or query parameters; in order."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a publisher asked for, in a request or in an element of a batch.

    `delivery.headers` are the headers to deliver, Content-Type included; `own_content_type`: that one describes the
    request's own body (nothing forwarded replaces it). `not_before` is the instant asked for, by `delay` or by itself;
    None for "at once". A Schedule takes `delay` alone, and `cron`, trimmed but not read.
    """

    delivery: DeliveryOptions = DeliveryOptions()
    labels: tuple[str, ...] = ()
    delay: timedelta | None = None
    not_before: datetime | None = None
    callback: Callback | None = None
    failure_callback: Callback | None = None
    redaction: Redaction | None = None
    dedup_id: str | None = None
    dedup_by_content: bool = False
    cron: str | None = None
    schedule_id: str | None = None
    queue: str | None = None
    own_content_type: bool = False

    def into(self, queue: str) -> "Options":
        """The same for a message of this queue. Raises InvalidInput for a delayed callback, which would stall it."""
        refuse_delayed(queue, self.callback, self.failure_callback)
        return replace(self, queue=queue)

    def overrides(self) -> Overrides:
        """What a retry from the DLQ changes of its message (contract 9.5): the request's own Content-Type does not."""
        headers = self.delivery.headers
        if self.own_content_type:
            headers = tuple(header for header in headers if header.name != "Content-Type")
        return Overrides(
            options=replace(self.delivery, headers=headers),
            labels=self.labels,
            not_before=self.not_before,
            queue=self.queue,
            callback=self.callback,
            failure_callback=self.failure_callback,
            redaction=self.redaction,
        )


def read_options(
    headers: Lines,
    query: Lines,
    now: datetime,
    limits: OptionLimits,
    *,
    defaults: Lines = (),
    forward_authorization: bool = False,
) -> Options:
    """Read the options from header lines, from the `upstash-…` query parameters, and from a Topic's default headers.

    `Upstash-Header-Forward` forwards the other header lines too; the Authorization line only if `forward_authorization`
    says that it is not the one which authenticated the request.

    Raises InvalidInput (AboveMaximum for what is only too large) naming the header or parameter.
    """
    if not query and not defaults:
        plain, content_type = _only_content_type(headers)
        if plain:
            return _of_content_type(content_type)
    draft = _Draft(Rules(now, limits))
    content_type = draft.take_headers(headers, 0)
    for name, value in query:
        draft.take(name.lower(), name, value, 1)
    forwarded = "content-type" in draft.forwarded
    if defaults:
        default_type = draft.take_headers(defaults, 2)
        if content_type is None:
            content_type = default_type
        elif not forwarded:
            draft.forwarded.pop("content-type", None)  # a default's: the request's own comes before it
    if draft.header_forward:
        for lines in (headers, defaults):
            draft.pass_on(lines, forward_authorization=forward_authorization)
    own_content_type = content_type is not None and "content-type" not in draft.forwarded
    if own_content_type and content_type is not None:
        draft.forward("content-type", "Content-Type", content_type, 0)
    return draft.finish(own_content_type=own_content_type)


def _only_content_type(headers: Lines) -> tuple[bool, str | None]:
    """Whether there is no option at all among these lines, and the first Content-Type."""
    content_type: str | None = None
    for name, value in headers:
        lower = name.lower()
        if lower.startswith(OPTION_PREFIX):
            return False, None
        if lower == "content-type" and content_type is None:
            content_type = value
    return True, content_type


@lru_cache(maxsize=256)
def _of_content_type(content_type: str | None) -> Options:
    # What most publishers send; there are few types, and the same value serves them all.
    draft = _Draft(_NO_RULES)
    if content_type is not None:
        draft.forward("content-type", "Content-Type", content_type, 0)
    return draft.finish(own_content_type=content_type is not None)


@dataclass(slots=True)
class _Draft:
    """What has been read so far. A `rank` says which source a line comes from: the first that has a name keeps it."""

    rules: Rules
    seen: set[str] = field(default_factory=set)
    forwarded: dict[str, tuple[int, list[Header]]] = field(default_factory=dict)
    callbacks: dict[str, "_Draft"] = field(default_factory=dict)
    is_callback: bool = False
    method: str | None = None
    timeout: timedelta | None = None
    retries: int | None = None
    retry_delay: str | None = None
    labels: tuple[str, ...] = ()
    delay: timedelta | None = None
    not_before: datetime | None = None
    callback: str | None = None
    failure_callback: str | None = None
    flow_key: str | None = None
    flow_value: FlowControl | None = None
    dedup_id: str | None = None
    dedup_by_content: bool = False
    redaction: Redaction | None = None
    header_forward: bool = False
    cron: str | None = None
    schedule_id: str | None = None
    queue: str | None = None
    refusal: InvalidInput | None = None

    def take_headers(self, headers: Lines, rank: int) -> str | None:
        """Take header lines; returns the first Content-Type among them."""
        content_type: str | None = None
        for name, value in headers:
            lower = name.lower()
            if lower.startswith(OPTION_PREFIX):
                self.take(lower, canonical(lower), value, rank)
            elif lower == "content-type" and content_type is None:
                content_type = value
        return content_type

    def take(self, lower: str, shown: str, value: str, rank: int) -> None:
        if lower.startswith(FORWARD_PREFIX):
            self.forward(lower[len(FORWARD_PREFIX) :], shown, value, rank)
            return
        option = (_CALLBACK_OPTIONS if self.is_callback else _OPTIONS).get(lower)
        if option is None:
            self._take_nested(lower, shown, value, rank)
        elif lower not in self.seen:
            self.seen.add(lower)
            attribute, read = option
            try:
                setattr(self, attribute, read(value, shown, self.rules))
            except InvalidInput as refusal:
                if lower not in _IGNORED_ON_SCHEDULES:
                    raise
                self.refusal = self.refusal or refusal

    def forward(self, name: str, shown: str, value: str, rank: int) -> None:
        if not valid_name(name):
            raise InvalidInput(shown, f"{name!r} is not a header name to forward")
        first, lines = self.forwarded.setdefault(name, (rank, []))
        if first != rank:
            return
        if not valid_value(value):
            raise InvalidInput(shown, "the value has a control character, or bytes that are not UTF-8")
        # One entry per line: a value is never split at commas (contract 4.2).
        lines.append(Header(canonical(name), value))

    def pass_on(self, headers: Lines, *, forward_authorization: bool) -> None:
        """Forward the lines that need no prefix under `Upstash-Header-Forward` (contract 4.4)."""
        dropped = connection_names(headers)
        taken = frozenset(self.forwarded)
        for name, value in headers:
            lower = name.lower()
            if lower in dropped or lower in taken or not is_passed_on(lower):
                continue
            if lower != "authorization" or forward_authorization:
                self.forward(lower, canonical(lower), value, 0)

    def finish(self, *, own_content_type: bool) -> Options:
        if self.refusal is not None and self.cron is None:
            raise self.refusal
        not_before = self.not_before
        if not_before is None and self.delay is not None:
            not_before = self.rules.now + self.delay
        options = Options(
            delivery=self._delivery(""),
            labels=self.labels,
            delay=self.delay,
            not_before=not_before,
            callback=self._callback(CALLBACK_PREFIX, self.callback),
            failure_callback=self._callback(FAILURE_PREFIX, self.failure_callback),
            redaction=self.redaction,
            dedup_id=self.dedup_id,
            dedup_by_content=self.dedup_by_content,
            cron=self.cron,
            schedule_id=self.schedule_id,
            queue=self.queue,
            own_content_type=own_content_type,
        )
        return options.into(self.queue) if self.queue is not None else options

    def _take_nested(self, lower: str, shown: str, value: str, rank: int) -> None:
        # The general model of contract 4.1: what follows the prefix is read as if it were an option of a publish.
        # A callback has no callbacks, and what is no option of one is ignored: workflow clients send such.
        if self.is_callback:
            return
        for prefix in (FAILURE_PREFIX, CALLBACK_PREFIX):
            if lower.startswith(prefix):
                nested = self.callbacks.setdefault(prefix, _Draft(self.rules, is_callback=True))
                nested.take(OPTION_PREFIX + lower[len(prefix) :], shown, value, rank)
                return

    def _callback(self, prefix: str, url: str | None) -> Callback | None:
        draft = self.callbacks.get(prefix)
        if draft is None:
            return Callback(Destination(url=url)) if url is not None else None
        # Options without a URL mean nothing, but a mistake in them is told.
        delivery = draft._delivery(prefix)
        return Callback(Destination(url=url), delivery, draft.labels, draft.delay) if url is not None else None

    def _delivery(self, prefix: str) -> DeliveryOptions:
        headers = tuple(line for _, lines in self.forwarded.values() for line in lines)
        flow_control = self._flow_control(prefix) if self.flow_key is not None or self.flow_value is not None else None
        return DeliveryOptions(self.method, headers, self.timeout, self.retries, self.retry_delay, flow_control)

    def _flow_control(self, prefix: str) -> FlowControl:
        key, limits = (
            canonical((prefix or OPTION_PREFIX) + name) for name in ("flow-control-key", "flow-control-value")
        )
        if self.flow_key is None:
            raise InvalidInput(key, f"is missing, and {limits} is given; give both or none")
        if self.flow_value is None:
            raise InvalidInput(limits, f"is missing, and {key} is given; give both or none")
        return replace(self.flow_value, key=self.flow_key)


_NO_RULES = Rules(datetime(1970, 1, 1, tzinfo=UTC), OptionLimits())
"""For what no option decides."""

_Option = tuple[str, Callable[[str, str, Rules], object]]

_CALLBACK_OPTIONS: Mapping[str, _Option] = {
    "upstash-method": ("method", values.method),
    "upstash-timeout": ("timeout", values.timeout),
    "upstash-retries": ("retries", values.retries),
    "upstash-retry-delay": ("retry_delay", values.retry_delay),
    "upstash-delay": ("delay", values.delay),
    "upstash-label": ("labels", values.labels),
    "upstash-flow-control-key": ("flow_key", values.flow_key),
    "upstash-flow-control-value": ("flow_value", values.flow_value),
}
"""The options that a callback has a meaning for, by lower-case name."""

_OPTIONS: Mapping[str, _Option] = {
    **_CALLBACK_OPTIONS,
    "upstash-not-before": ("not_before", values.not_before),
    "upstash-callback": ("callback", values.url),
    "upstash-failure-callback": ("failure_callback", values.url),
    "upstash-deduplication-id": ("dedup_id", values.opaque),
    "upstash-content-based-deduplication": ("dedup_by_content", values.boolean),
    "upstash-redact-fields": ("redaction", values.redaction),
    "upstash-header-forward": ("header_forward", values.boolean),
    "upstash-cron": ("cron", values.cron),
    "upstash-schedule-id": ("schedule_id", values.name),
    "upstash-queue-name": ("queue", values.name),
}
"""Every option of contract 4.3 but the forwarded headers."""

_IGNORED_ON_SCHEDULES = frozenset(
    {"upstash-not-before", "upstash-deduplication-id", "upstash-content-based-deduplication"}
)
"""Whatever they say (contract 4.3, 22.1); whether a schedule is made is known only when all has been read."""
