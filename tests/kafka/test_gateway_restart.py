"""Gateways that are killed and started again while try-ons go on: whoever watches misses nothing and hears nothing
twice, and all gateways tell the same."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator.config import Config
from orchestrator.gateway.view import follower as module
from orchestrator.gateway.view.follower import Follower
from orchestrator.gateway.view.view import View
from shared_utils.ports import free_port
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.messages import JsonCodec
from tests.kafka.orchestra import Orchestra, orchestra_on
from tests.kafka.support import LOOK, PATIENCE, ROOT, Process, emptied, environment, say, until, wait_all_read
from tests.orchestrator.cli.orchestrating import succeeded

ENDED = {"succeeded", "failed", "cancelled", "refused"}
IN_FLIGHT = 3


@pytest.fixture
def orchestra(apache_kafka: ApacheKafka, tmp_path: Path) -> Iterator[Orchestra]:
    emptied(apache_kafka)
    with orchestra_on(apache_kafka, tmp_path) as made:
        yield made


class Gateway:
    """A gateway's process, which comes back under its old address."""

    def __init__(self, orchestra: Orchestra, name: str) -> None:
        self.port = free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)
        self._log = orchestra.folder / f"{name}.log"
        given = {"gateway_port": self.port, "gateway_grpc_port": 0, "gateway_upload_dir": orchestra.folder / "uploads"}
        self._environment = environment(orchestra.given | given)
        self._process: Process | None = None

    def start(self) -> None:
        command = (str(ROOT / "orchestrator" / "main.py"), "--mode", "gateway")
        self._process = Process(*command, env=self._environment, log=self._log)
        until(self._is_ready, f"the gateway is ready: {self._log.read_text()}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.send(signal.SIGKILL)
            self._process.ended()

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/v1/try-ons/{name}").json()
        return found

    def knows(self, name: str) -> bool:
        return self.http.get(f"/v1/try-ons/{name}").status_code == 200

    def list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/v1/try-ons", params={"limit": 200}).json()["try_ons"]
        return found

    def close(self) -> None:
        self.kill()
        self.http.close()


class Watcher(threading.Thread):
    """Watches a try-on to its end as a browser does: when the stream breaks it goes on behind the last event's id."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        super().__init__(daemon=True)
        self.events: list[tuple[str, str, str]] = []
        self.places: list[int] = []
        self.breaks = 0
        self._path = f"/v1/try-ons/{name}/events"
        self._gateway = gateway
        self._ended = False

    def run(self) -> None:
        while not self._ended:
            headers = {"Last-Event-ID": self.events[-1][1]} if self.events else {}
            try:
                with self._gateway.http.stream("GET", self._path, headers=headers) as answer:
                    if answer.status_code == 200:
                        self._read(answer)
                    elif answer.status_code == 204:
                        return
            except httpx.TransportError:
                self.breaks += 1
            LOOK.wait(0.05)

    def finish(self) -> None:
        self.join(PATIENCE)
        assert not self.is_alive(), f"heard {self.events[-3:]}, and no end"

    def _read(self, answer: httpx.Response) -> None:
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
                continue
            if "id" in fields:
                self.events.append((fields["event"], fields["id"], fields["data"]))
                self._ended = fields["event"] == "status" and json.loads(fields["data"])["state"] in ENDED
            elif "data" in fields:
                self.places.append(json.loads(fields["data"])["position"])
            fields = {}

    def offsets(self, kind: str) -> list[int]:
        """Those of the records that were heard of, as they came."""
        which = ("status", "progress").index(kind)
        return [int(cursor.split(".")[which]) for each, cursor, _ in self.events if each == kind]


def test_killed_and_started_again(orchestra: Orchestra) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(closing(Gateway(orchestra, name))) for name in ("first", "second"))
        for gateway in (first, second):
            gateway.start()
        orchestra.stages["sampling"].hold()
        orchestra.stages["decoding"].hold()
        orchestra.engine(max_in_flight=IN_FLIGHT)
        orchestra.workers()
        names = [orchestra.ask() for _ in range(2 * IN_FLIGHT)]
        for name in names:
            until(partial(first.knows, name), f"{name} is known")
        watchers = [Watcher(first, name) for name in names]
        for watcher in watchers:
            watcher.start()

        orchestra.stages["sampling"].wait_begun(1)
        until(lambda: all(watcher.events or watcher.places for watcher in watchers), "all have heard something")
        first.kill()
        orchestra.stages["sampling"].go()
        orchestra.stages["decoding"].wait_begun(1)
        first.start()

        states = sorted(first.get(name)["state"] for name in names)
        assert states == ["running"] * IN_FLIGHT + ["waiting"] * IN_FLIGHT
        assert sorted(first.get(name)["position"] or 0 for name in names) == [0] * IN_FLIGHT + [1, 2, 3]
        until(lambda: first.list() == second.list(), "they agree in mid-run")

        first.kill()
        orchestra.stages["decoding"].go()
        orchestra.answer(names[0])
        first.start()
        for watcher in watchers:
            watcher.finish()
        assert all(watcher.breaks for watcher in watchers)

        until(lambda: first.list() == second.list(), "they agree at the end")
        assert {each["state"] for each in second.list()} == {"succeeded"}
        for name, watcher in zip(names, watchers, strict=True):
            fresh_eyes = Watcher(second, name)
            fresh_eyes.start()
            fresh_eyes.finish()
            for kind, topic in (("status", topics.TRYON_STATUS), ("progress", topics.TRYON_PROGRESS)):
                told = [each.offset for each in orchestra.all(topic, name)]
                assert len(told) > 3
                assert watcher.offsets(kind) == told
                assert fresh_eyes.offsets(kind) == told
            assert sorted(data for _, _, data in watcher.events) == sorted(data for _, _, data in fresh_eyes.events)
            heard = second.http.get(f"/v1/try-ons/{name}/events", headers={"Last-Event-ID": watcher.events[-1][1]})
            assert heard.status_code == 204

        before = first.list()
        first.kill()
        first.start()
        assert first.list() == before
        assert [first.get(name) for name in names] == [second.get(name) for name in names]


def test_requests_that_nothing_comes_of(orchestra: Orchestra) -> None:
    """A gateway tells one that waits from one that is gone by what the orchestrators have committed."""
    with closing(Gateway(orchestra, "gateway")) as gateway:
        gateway.start()
        twice = orchestra.ask(partition=0)
        until(lambda: gateway.get(twice).get("state") == "waiting", "it waits")
        refused = orchestra.ask(partition=0, cfg="no number")
        say(orchestra.settings, topics.TRYON_REQUESTS, b"no JSON", partition=0)
        orchestra.engine()
        orchestra.workers()
        orchestra.answer(refused)
        orchestra.answer(twice)
        wait_all_read(orchestra.settings, orchestra.group, topics.TRYON_REQUESTS)
        until(lambda: gateway.get(refused).get("state") == "refused", "it is refused")
        until(lambda: gateway.get(twice).get("state") == "succeeded", "it has its picture")
        before = gateway.list()
        gateway.kill()
        gateway.start()
        assert gateway.list() == before
        assert gateway.get(refused)["problem"]["code"] == "INVALID_REQUEST"


@contextmanager
def following(settings: Config) -> Iterator[tuple[View, Follower]]:
    view = View()
    follower = Follower(settings, JsonCodec(), view)
    with closing(view), closing(follower):
        follower.start()
        yield view, follower


def ended(view: View, name: str) -> bool:
    found = view.get(name)
    return found is not None and found.ended


def test_what_retention_has_removed(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.1)
    orchestra.engine()
    orchestra.workers()
    name = orchestra.ask()
    orchestra.answer(name)
    with following(orchestra.settings) as (view, _):
        until(partial(ended, view, name), "it has ended")
        emptied(orchestra.broker)
        until(lambda: view.get(name) is None, "it is forgotten")
        again = orchestra.ask()
        until(partial(ended, view, again), "the next one has ended")


@pytest.mark.kafka
def test_kafka_comes_late_and_goes_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kafka = ApacheKafka(tmp_path / "data", dies_with_parent=True)
    settings = Config(kafka_bootstrap_servers=kafka.bootstrap)
    with following(settings) as (view, follower):
        try:
            kafka.start()
            until(lambda: "vtryon topics create" in caplog.text, "it says what is missing")
            assert not follower.ready.is_set()
            emptied(kafka)
            assert follower.ready.wait(PATIENCE)
            for name in ("before", "after"):
                say(settings, topics.TRYON_STATUS, json.loads(succeeded(name).model_dump_json()), key=name)
                until(partial(ended, view, name), f"{name} is known")
                kafka.kill()
                kafka.start()
            assert ended(view, "before")
        finally:
            kafka.stop()
