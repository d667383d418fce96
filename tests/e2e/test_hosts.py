"""The cap per host at the running program: Endpoints and URLs of one host share it, and other hosts do not notice."""

from collections import Counter
from pathlib import Path

import yaml
from tests.support.angarium import Angarium
from tests.support.receiver import Answer, Receiver

from angarium.files.users import DEFAULT_USER

from .test_hostile import manifests

CAP = 12
ENDPOINTS = 10
EACH = 20
SLOW_S = 0.3


def test_endpoints_and_urls_of_one_host_share_its_cap_and_take_turns(tmp_path: Path, receiver: Receiver) -> None:
    names = [f"slow-{number}" for number in range(ENDPOINTS)]
    with Receiver(default=Answer(delay_s=SLOW_S)) as slow:
        file = tmp_path / "manifests.yaml"
        file.write_text(yaml.safe_dump_all([one for name in names for one in manifests(name, slow.url(f"/{name}"))]))
        settings = {"drain": "1s", "in-flight-per-host": str(CAP)}
        with Angarium(tmp_path, command="dev", settings=settings, paths=(str(file),)) as angarium:
            angarium.start()
            with angarium.client(DEFAULT_USER.token) as client:
                busy = [{"destination": names[0], "body": "x"}] * EACH * 2
                others = [{"destination": name, "body": "x"} for name in names[1:]] * EACH
                spelled = f"http://2130706433:{slow.port}/url"
                urls = [{"destination": spelled, "body": "x"}] * EACH
                total = len(busy) + len(others) + len(urls)
                assert client.post("/v2/batch", json=[*busy, *others, *urls]).status_code == 200
                slow.wait_for(CAP)
                for number in range(EACH):
                    client.post(f"/v2/publish/{receiver.url(f'/quick/{number}')}").raise_for_status()
                receiver.wait_for(EACH)
                assert slow.count() < total // 2, "the other host did not wait for this one"
                arrived = slow.wait_for(total, timeout=60)
    assert ENDPOINTS <= slow.most_in_flight <= CAP
    early = Counter(request.target for request in arrived[: total // 2])
    assert set(early) == {*(f"/{name}" for name in names), "/url"}
    assert early["/slow-0"] <= EACH, "the busy one had one turn like all others"
