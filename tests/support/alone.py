"""`angarium run` with no API server anywhere: deliveries need none, and a token left by an earlier process will do."""

from pathlib import Path

import yaml
from tests.support.fakes import FakeClock
from tests.support.programs import free_port

from angarium.domain.credentials import Credential, token_hash
from angarium.domain.declarations import Access
from angarium.domain.ports import Limits, Retention
from angarium.store import open_store

NAMESPACE = "shop"
TOKEN = "a-token-for-tests"


def kubeconfig_of(folder: Path) -> Path:
    """A kubeconfig for an API server that is not there."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "away", "cluster": {"server": f"http://127.0.0.1:{free_port()}"}}],
        "users": [{"name": "away", "user": {"token": "nobody"}}],
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "away"}}],
        "current-context": "away",
    }
    path.write_text(yaml.safe_dump(config))
    return path


async def admit(database: Path) -> None:
    """Put a token into the database, as an earlier process with an API server would have left it."""
    store = open_store(
        database, limits=Limits(), new_id=lambda at: "msg_never_used", clock=FakeClock(), retention=Retention()
    )
    await store.put_credential(Credential(NAMESPACE, "app", token_hash(TOKEN), Access.READ_WRITE))
    await store.close()
