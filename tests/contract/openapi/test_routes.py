"""openapi.yaml and the route table say the same, and the document is a sound one."""

import re

import pytest
from jsonschema import Draft202012Validator
from tests.contract.openapi.conftest import Checked, bearer, shape
from tests.contract.openapi.description import Description
from tests.support.api import OTHER_TOKEN, PUBLISH_ONLY_TOKEN, READ_ONLY_TOKEN, TOKEN, Api, Clock, serving
from tests.support.routes import ROWS, Named, Row, furnish

from angarium.api.connection import ConnectionLimits
from angarium.api.handlers.openapi import DOCUMENT
from angarium.api.options import OptionLimits
from angarium.api.routes import Need
from angarium.domain.ports import Store

_NAMES = re.compile(r"\{([^}]*)\}")
NOTHING = Named("msg_none", "1-0")


async def test_every_route_is_described_and_nothing_else(api: Api, description: Description) -> None:
    described = {(method, shape(path)) for method, path, _ in description.operations()}
    assert described == {(route.method, shape(route.path)) for route in api.server.routes}


def test_every_parameter_of_a_path_is_described(description: Description) -> None:
    for method, path, operation in description.operations():
        parameters = [parameter for parameter in description.resolved(operation.get("parameters", []))]
        named = [parameter["name"] for parameter in parameters if parameter["in"] == "path"]
        assert sorted(named) == sorted(_NAMES.findall(path)), (method, path)
        keys = [(parameter["in"], parameter["name"]) for parameter in parameters]
        assert len(set(keys)) == len(keys), (method, path)


def test_every_reference_leads_somewhere_and_every_schema_is_sound(description: Description) -> None:
    whole = description.resolved(description.document["paths"])
    assert whole
    for schema in description.document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_component_is_used(description: Description) -> None:
    text = DOCUMENT.read_text()
    for kind in ("schemas", "parameters", "responses", "headers"):
        for name in description.document["components"][kind]:
            assert f"'#/components/{kind}/{name}'" in text or f"#/components/{kind}/{name}\n" in text, (kind, name)


def test_operations_have_names_of_their_own(description: Description) -> None:
    names = [operation["operationId"] for _, _, operation in description.operations()]
    assert len(set(names)) == len(names)


async def test_it_is_served_to_everybody(api: Api) -> None:
    reply = await api.request("GET", "/openapi.yaml", ("Authorization", "Bearer nobody"))
    assert (reply.status, reply.body) == (200, DOCUMENT.read_bytes())
    assert reply.headers["content-type"] == "application/yaml"


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_the_answer_to_each_token_is_described(api: Api, checked: Checked, row: Row) -> None:
    """Its owner, another tenant, a token that may only read or only publish, and nobody."""
    named = await furnish(api)
    for token in ("nobody", OTHER_TOKEN, READ_ONLY_TOKEN, PUBLISH_ONLY_TOKEN, TOKEN):
        body = named.of(row.body).encode()
        await checked(row.method, named.of(row.path), *row.headers, bearer(token), body=body)


async def test_what_asks_for_no_token_says_so(api: Api, description: Description) -> None:
    public = {shape(path) for _, path, operation in description.operations() if operation.get("security") == []}
    assert public == {shape(route.path) for route in api.server.routes if route.need is Need.NOTHING}


async def test_a_body_beyond_the_limit_is_described_wherever_a_body_is_read(
    store: Store, clock: Clock, description: Description
) -> None:
    few = 1000
    async with serving(
        store, clock, limits=ConnectionLimits(body=few), option_limits=OptionLimits(body=few, batch=few)
    ) as api:
        checked = Checked(api, description)
        for row in ROWS:
            if row.method != "GET":
                reply = await checked(row.method, NOTHING.of(row.path), *row.headers, body=b"x" * (few + 1))
                assert reply.status == 413, row
