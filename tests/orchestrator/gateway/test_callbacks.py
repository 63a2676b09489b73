"""A callback from its being asked for at the gateway to its arrival."""

import json
from pathlib import Path

from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import PATH, SECRET, house_on, refused
from tests.orchestrator.gateway.receiver import HOST, receiving


def test_told_when_it_has_ended(tmp_path: Path) -> None:
    given = {"webhook_secret": SECRET, "webhook_allow": [HOST]}
    files = [("person", ("p.png", picture())), ("garment", ("g.png", picture())), ("garment", ("h.png", picture()))]
    with receiving() as receiver, EmbeddedBroker() as broker, house_on(broker, tmp_path, **given) as house:
        for url in ("http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://user:word@example.com/"):
            refused(house.http.post(PATH, files=files, data={"callback_url": url}), 422, "CALLBACK_NOT_ALLOWED")
        asked = house.http.post(PATH, files=files, data={"callback_url": receiver.url("/done?order=7")})
        names = [each["id"] for each in asked.json()["try_ons"]]
        told = {view["id"]: view for view in (json.loads(call.body) for call in receiver.wait(2))}
        assert told.keys() == set(names)
        for name in names:
            assert told[name] == house.wait(name, "succeeded")
