"""Default publish headers of Topics (contract 12, 23.3): applied as if they had been sent with the request."""

from collections.abc import Iterable, Mapping

from angarium.api.options import Lines
from angarium.domain.declarations import Destination, Kind, ObjectRef, Topic
from angarium.domain.ports import CatalogStore


async def default_headers(
    store: CatalogStore, namespace: str, destinations: Iterable[Destination]
) -> Mapping[str, Lines]:
    """The header lines of each of these destinations that is a Topic with defaults, by its name."""
    topics = {destination.topic for destination in destinations if destination.topic is not None}
    if not topics:
        return {}
    declared = await store.declared_many([ObjectRef(Kind.TOPIC, namespace, topic) for topic in sorted(topics)])
    return {
        ref.name: [(header.name, header.value) for header in found.spec.headers if header.value is not None]
        for ref, found in declared.items()
        if isinstance(found.spec, Topic) and found.spec.headers
    }
