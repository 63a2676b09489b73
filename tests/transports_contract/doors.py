"""Every way to ask a stage in this process. A new transport is one class with `ask`; add it to HERE."""

import json
import math
import os
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_type_hints

import httpx
import pytest

from shared_utils.contracts import Failure, Success, echoable
from shared_utils.stage import Stage, answer
from shared_utils.transports.cli.standalone import run_standalone
from shared_utils.transports.files.settings import FilesSettings
from shared_utils.transports.files.worker import Worker
from shared_utils.transports.grpc.channel import Channel
from shared_utils.transports.grpc.errors import CallFailedError
from shared_utils.transports.grpc.generated.vtryon_pb2 import DESCRIPTOR
from shared_utils.transports.grpc.messages import model_of, parsed, written
from shared_utils.transports.grpc.settings import GrpcSettings
from shared_utils.transports.grpc.stage_server import StageServer
from shared_utils.transports.kafka import host, topics
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.settings import WorkerSettings
from shared_utils.transports.rest.app import Service
from shared_utils.transports.rest.serving import HttpServer
from shared_utils.transports.rest.settings import RestSettings
from tests.conftest import STAGES
from tests.kafka.support import Eyes, connection, emptied, in_thread, say, stopped_by_its_thread, until

SOON = 300.0
"""What only a hang exceeds."""
Fields = Mapping[str, Any]
REQUESTS = {stage.name: stage.request_type for stage in STAGES}


class Door(ABC):
    """One transport with all stages behind it, in this process."""

    name: ClassVar[str]
    text_only: ClassVar[bool] = False
    """Whether every value is text there, so that a wrong one is shown as text."""

    def __init__(self, stages: Mapping[str, Stage], folder: Path) -> None:
        self._stages = stages
        self._folder = folder
        self._open = ExitStack()

    @abstractmethod
    def ask(self, stage: str, fields: Fields) -> Success | Failure:
        """What the stage answers. The fields have a request_id."""

    @classmethod
    def can_say(cls, stage: str, fields: Fields) -> bool:
        """Whether the transport has words for these values, wrong as they may be."""
        return True

    def open(self) -> None:  # noqa: B027  some have nothing to open
        """Begin to serve."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self._open)
            self.open()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def _read(self, stage: str, content: str | bytes) -> Success | Failure:
        if json.loads(content)["status"] == "error":
            return Failure.model_validate_json(content)
        kind: type[Success] = self._stages[stage].response_type
        return kind.model_validate_json(content)


class Direct(Door):
    """No transport: what all others are held against."""

    name = "direct"

    def ask(self, stage: str, fields: Fields) -> Success | Failure:
        return answer(self._stages[stage], fields)


class CommandLine(Door):
    name = "standalone"

    text_only = True

    @classmethod
    def can_say(cls, stage: str, fields: Fields) -> bool:
        return all(_is_sayable(stage, name, value) for name, value in fields.items())

    def ask(self, stage: str, fields: Fields) -> Success | Failure:
        flags = [f"--{name}={value}" for name, value in fields.items() if value is not None]
        with _stdout() as printed:
            code = run_standalone(self._stages[stage], ["--mode", "standalone", *flags])
            response = self._read(stage, printed())
        assert code == (0 if isinstance(response, Success) else 1)
        return response


def _is_sayable(stage: str, name: str, value: Any) -> bool:
    """Every value is text there: a number where text belongs is text too. And what is required can't be left out."""
    if value is None:
        return not REQUESTS[stage].model_fields[name].is_required()
    hint = get_type_hints(REQUESTS[stage])[name]
    takes_numbers = bool({int, float, bool} & {hint, *get_args(hint)})
    return isinstance(value, str) or (isinstance(value, int | float) and takes_numbers)


@contextmanager
def _stdout() -> Iterator[Any]:
    """What is written there, by whatever means."""
    with tempfile.TemporaryFile() as file:
        saved = os.dup(1)
        os.dup2(file.fileno(), 1)

        def printed() -> bytes:
            file.seek(0)
            return file.read()

        try:
            yield printed
        finally:
            os.dup2(saved, 1)
            os.close(saved)


class Kafka(Door):
    name = "kafka"

    def open(self) -> None:
        broker = self._open.enter_context(EmbeddedBroker())
        emptied(broker)
        settings = WorkerSettings(**connection(broker), kafka_retry_backoff_seconds=0.01)
        self._settings = settings
        self._eyes = Eyes(settings, *(topics.response_topic(name) for name in self._stages))
        self._open.callback(self._eyes.close)
        patch = self._open.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(host, "stopped_by_signals", stopped_by_its_thread)
        self._open.enter_context(in_thread(lambda: host.run_workers(list(self._stages.values()), settings)))

    def ask(self, stage: str, fields: Fields) -> Success | Failure:
        topic = topics.response_topic(stage)
        before = len(self._eyes.seen)
        say(self._settings, topics.request_topic(stage), dict(fields))
        seen = self._eyes.wait(lambda each: each.topic == topic and each in self._eyes.seen[before:])[0]
        return self._read(stage, json.dumps(seen.value))


class Rest(Door):
    name = "rest"

    @classmethod
    def can_say(cls, stage: str, fields: Fields) -> bool:
        """JSON has no word for NaN."""
        return not any(isinstance(value, float) and not math.isfinite(value) for value in fields.values())

    def open(self) -> None:
        self._clients = {name: self._open.enter_context(self._client(stage)) for name, stage in self._stages.items()}

    @contextmanager
    def _client(self, stage: Stage) -> Iterator[httpx.Client]:
        service = Service(stage, RestSettings())
        server = HttpServer(service.app, "127.0.0.1", 0)
        server.start()
        service.warm_up()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=SOON) as client:
                yield client
        finally:
            server.stop_accepting()
            service.turns.close()
            server.stop()

    def ask(self, stage: str, fields: Fields) -> Success | Failure:
        url, headers = f"/v1/{self._stages[stage].verb}", {"Content-Type": "application/json"}
        done = self._clients[stage].post(url, content=json.dumps(dict(fields)), headers=headers)
        response = self._read(stage, done.content)
        assert done.is_success == isinstance(response, Success)
        return response


class Grpc(Door):
    name = "grpc"

    @classmethod
    def can_say(cls, stage: str, fields: Fields) -> bool:
        """Only what is of the field's type goes in, or what can be made that."""
        kind = _method(stage).input_type
        try:
            said = parsed(kind, written(kind, fields))
        except (TypeError, ValueError):
            return False
        return all(repr(said.get(name)) == repr(value) for name, value in fields.items())

    def open(self) -> None:
        self._channels = {name: self._channel(stage) for name, stage in self._stages.items()}

    def _channel(self, stage: Stage) -> Channel:
        server = self._open.enter_context(StageServer(stage, GrpcSettings(grpc_port=0, grpc_drain_seconds=0)))
        service = _method(stage.name).containing_service
        return self._open.enter_context(Channel(service, f"127.0.0.1:{server.port}"))

    def ask(self, stage: str, fields: Fields) -> Success | Failure:
        kind: type[Success] = self._stages[stage].response_type
        try:
            return model_of(kind, self._channels[stage].call(_method(stage).name, fields, SOON))
        except CallFailedError as failed:
            return Failure.of(failed, str(echoable(fields["request_id"])), echoable(fields.get("correlation_id")))


def _method(stage: str) -> Any:
    (method,) = DESCRIPTOR.services_by_name[stage.title().replace("_", "")].methods
    return method


class Files(Door):
    name = "files"

    def open(self) -> None:
        for stage in self._stages.values():
            self._serve(stage)

    def _serve(self, stage: Stage) -> None:
        inbox, outbox = self._folders(stage.name)
        settings = FilesSettings(
            files_inbox=inbox, files_outbox=outbox, files_poll_seconds=0.01, files_settle_seconds=0
        )
        worker, stopping = Worker(stage, settings), threading.Event()
        thread = threading.Thread(target=worker.run, args=(stopping,), daemon=True)
        thread.start()
        self._open.callback(worker.close)
        self._open.callback(thread.join)
        self._open.callback(stopping.set)

    def ask(self, stage: str, fields: Fields) -> Success | Failure:
        inbox, outbox = self._folders(stage)
        half = inbox / ".job.json"
        half.write_text(json.dumps(dict(fields)))
        before = _responses(outbox)
        half.rename(inbox / "job.json")
        (file,) = until(lambda: _responses(outbox) - before, f"a response in {outbox}")
        response = self._read(stage, file.read_bytes())
        assert file.parent.parent.name == ("done" if isinstance(response, Success) else "failed")
        return response

    def _folders(self, stage: str) -> tuple[Path, Path]:
        return self._folder / stage / "in", self._folder / stage / "out"


def _responses(outbox: Path) -> set[Path]:
    return {file for which in ("done", "failed") for file in (outbox / which).glob("*/response.json")}


HERE: tuple[type[Door], ...] = (CommandLine, Kafka, Rest, Grpc, Files)
"""With the stages in this process, where a test can change what they do."""
