"""Where messages go, as specs say it: a URL, or a reference to an Endpoint or a Topic of the same namespace."""

from angarium.domain.declarations import Destination
from angarium.domain.destinations import check_url
from angarium.resources.fields import Fields


def decode(fields: Fields, *forms: str) -> Destination:
    """Exactly one of `forms`, which are among url, endpointRef and topicRef. Raises InvalidInput."""
    form = fields.one_of(*forms)
    if form == "endpointRef":
        return Destination(endpoint=fields.reference(form))
    if form == "topicRef":
        return Destination(topic=fields.reference(form))
    url = fields.require_text(form)
    check_url(url, fields.at(form))
    return Destination(url=url)
