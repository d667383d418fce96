"""What a message becomes when its dead letter is retried (contract 9.5)."""

from dataclasses import replace
from datetime import datetime

from angarium.domain.callbacks import refuse_delayed
from angarium.domain.declarations import DeliveryOptions, Header, Redaction
from angarium.domain.messages import Message, Overrides


def repeated(message: Message, overrides: Overrides, message_id: str, now: datetime) -> Message:
    """A new message: as the old one was accepted, but for what is overridden, due at once, and of no run.

    What was to be hidden stays hidden. A callback stays one, so it joins no queue and has no callbacks. Raises
    InvalidInput for a delayed callback of a message that joins a queue.
    """
    given, report = overrides.options, message.source is not None
    new = replace(
        message,
        id=message_id,
        method=given.method or message.method,
        headers=_headers(message.headers, given),
        timeout=given.timeout or message.timeout,
        max_retries=message.max_retries if given.retry_limit is None else given.retry_limit,
        retry_delay=given.retry_delay or message.retry_delay,
        created_at=now,
        not_before=max(overrides.not_before or now, now),
        labels=overrides.labels or message.labels,
        run=None,
        queue=None if report else overrides.queue or message.queue,
        flow_control=given.flow_control or message.flow_control,
        callback=None if report else overrides.callback or message.callback,
        failure_callback=None if report else overrides.failure_callback or message.failure_callback,
        redaction=_redaction(message.redaction, overrides.redaction),
    )
    if new.queue is not None:
        refuse_delayed(new.queue, new.callback, new.failure_callback)
    return new


def _headers(old: tuple[Header, ...], given: DeliveryOptions) -> tuple[Header, ...]:
    replaced = {header.name.lower() for header in given.headers}
    return (*(header for header in old if header.name.lower() not in replaced), *given.headers)


def _redaction(old: Redaction | None, given: Redaction | None) -> Redaction | None:
    if old is None or given is None:
        return old or given
    names = tuple(dict.fromkeys((*old.names, *given.names)))
    return Redaction(old.body or given.body, old.all_headers or given.all_headers, names)
