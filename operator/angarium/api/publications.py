"""From what a publisher asked for to the publication that is stored."""

from datetime import datetime

from angarium.api.exchange import Call
from angarium.api.options import Options
from angarium.domain.declarations import Destination
from angarium.domain.deduplication import key_of_content, key_of_id
from angarium.domain.messages import Publication


def publication_of(call: Call, destination: Destination, options: Options, body: bytes, now: datetime) -> Publication:
    """The publication of a call, or of one element of its batch."""
    return Publication(
        namespace=call.namespace,
        destination=destination,
        created_at=now,
        body=body,
        options=options.delivery,
        labels=options.labels,
        not_before=options.not_before,
        caller_ip=call.caller_ip,
        queue=options.queue,
        callback=options.callback,
        failure_callback=options.failure_callback,
        redaction=options.redaction,
        dedup_key=_dedup_key(destination, options, body),
    )


def _dedup_key(destination: Destination, options: Options, body: bytes) -> bytes | None:
    if options.dedup_id is not None:
        return key_of_id(options.dedup_id)
    if options.dedup_by_content:
        return key_of_content(destination, options.queue, options.delivery.headers, body)
    return None
