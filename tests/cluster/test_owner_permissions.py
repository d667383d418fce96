"""An API server that lets nobody change ownerReferences of what they may not delete, as OpenShift's does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.conftest import await_established
from tests.support.cluster import ROOT, apply, create_namespace, patch
from tests.support.controlplane import ControlPlane
from tests.support.staging import staged
from tests.support.tokens import ROTATED_S, TOKEN, await_answer, secret_of, values_of, with_keys_in_force


class Strict(ControlPlane):
    def _apiserver_flags(self) -> dict[str, str | Path]:
        return super()._apiserver_flags() | {"enable-admission-plugins": "OwnerReferencesPermissionEnforcement"}


@pytest.fixture
def strict(assets: Path, tmp_path: Path) -> Iterator[ControlPlane]:
    control_plane = Strict(tmp_path / "strict", assets)
    try:
        control_plane.start()
        for crd in apply(control_plane, ROOT / "crds"):
            await_established(control_plane, crd["metadata"]["name"])
        yield control_plane
    finally:
        control_plane.stop()


def test_a_secret_that_is_handed_over_is_good_there_too(strict: ControlPlane, tmp_path: Path) -> None:
    """It is adopted, and a person has to take the owner off; a new Secret is made and owned as anywhere else."""
    create_namespace(strict, "shop")
    with staged(strict, "shop", tmp_path) as stage:
        stage.angarium.start()
        stage.apply("Token", "app", {})
        stage.ready(("Token", "app"))
        made = secret_of(stage, "app-qstash")
        assert made is not None and made["metadata"]["ownerReferences"]
        stage.secret("app-qstash", **with_keys_in_force(stage, "a-token-from-git"))
        await_answer(stage, "a-token-from-git", 200, within=ROTATED_S)
        assert values_of(stage, "app-qstash")[TOKEN] == "a-token-from-git"

        message = stage.condition("Token", "app", "ResolvedRefs=False", "SecretNotWritten")
        assert "can't delete" in message and "still goes with its Token" in message
        assert stage.status("Token", "app")["adopted"]
        patch(strict, "Secret", "app-qstash", "shop", {"metadata": {"ownerReferences": None}})
        stage.ready(("Token", "app"))
        await_answer(stage, "a-token-from-git", 200)
