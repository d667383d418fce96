"""The Secrets of Tokens as tests read them, and what the texts in them open."""

import base64

from tests.support.cluster import Object, find, wait_for
from tests.support.stage import Stage

URL, TOKEN, CURRENT, NEXT = "QSTASH_URL", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"
ROTATED_S = 25.0
"""Secrets are looked at again every 10 s."""
SOON_S = 3.0
"""For what has to happen at once."""


def secret_of(stage: Stage, name: str) -> Object | None:
    return find(stage.control_plane, "Secret", name, stage.namespace)


def values_of(stage: Stage, name: str) -> dict[str, str]:
    """The decoded Secret, as soon as it is there."""
    secret = wait_for(lambda: secret_of(stage, name), within=ROTATED_S, describe=f"Secret {name}")
    assert secret is not None
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def opens(stage: Stage, token: str) -> int:
    """What the API answers to this token."""
    with stage.angarium.client(token) as client:
        return client.get("/v2/keys").status_code


def await_answer(stage: Stage, token: str, status: int, within: float = SOON_S) -> None:
    wait_for(lambda: opens(stage, token), lambda seen: seen == status, within=within, describe=f"the token: {status}")


def keys_in_force(stage: Stage) -> tuple[str, str]:
    answer = stage.api("GET", "/v2/keys").json()
    return answer["current"], answer["next"]


def with_keys_in_force(stage: Stage, token: str) -> dict[str, str]:
    current, following = keys_in_force(stage)
    return {TOKEN: token, CURRENT: current, NEXT: following}
