"""Whole try-ons from a folder: stages that stand in, a real engine on a broker in memory, real processes that end."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.files import FilesConfig, files_config, run_files, serve
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.kafka.orchestra import Orchestra, orchestra_on
from tests.kafka.support import Process, Told, emptied, environment, in_thread, until
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import Painter
from tests.shared_utils.transports.files.support import Folders

PICTURES = {"person.png": picture(colour="red"), "garment.png": picture(colour="blue")}


class Shop(Folders):
    """An inbox for try-ons, and all that is behind it."""

    def __init__(self, orchestra: Orchestra, folder: Path) -> None:
        super().__init__(folder)
        self.orchestra = orchestra

    def given(self, **others: Any) -> dict[str, Any]:
        return super().given(**self.orchestra.given | {"gateway_upload_dir": self.folder / "uploads"} | others)

    def open(self, **others: Any) -> Any:
        """Serve it in this process, until the end of the with block."""
        return in_thread(_served(FilesConfig(**self.given(**others))), "files")

    def serving(self, name: str, **others: Any) -> Process:
        """Serve it in another process."""
        command = ["-m", "orchestrator", "--mode", "files"]
        return Process(*command, env=environment(self.given(**others)), log=self.folder / f"{name}.log")

    def drop_pictures(self, name: str, *more: str) -> Path:
        folder = self.inbox / name
        folder.mkdir()
        for file in (*PICTURES, *more):
            (folder / file).write_bytes(PICTURES.get(file) or picture(colour="green"))
        return folder

    def asked(self) -> list[str]:
        """The try-ons that were asked for, as often as they were."""
        return [each.value["correlation_id"] for each in self.orchestra.all(topics.TRYON_REQUESTS)]


def _served(config: FilesConfig) -> Any:
    def work() -> None:
        thread = threading.current_thread()
        assert isinstance(thread, Told)
        serve(config, thread.stopping)

    return work


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with EmbeddedBroker() as broker:
        emptied(broker)
        with orchestra_on(broker, tmp_path) as orchestra:
            orchestra.stages = {**orchestra.stages, "decoding": Painter("decoding", tmp_path)}
            orchestra.engine()
            orchestra.workers()
            yield Shop(orchestra, tmp_path)


def test_a_folder_with_a_person_and_a_garment(shop: Shop) -> None:
    folder = shop.drop_pictures("ann")
    (folder / "job.json").write_text('{"seed": 7, "prompt": "dress her"}')
    with shop.open():
        (response,) = shop.wait_out("done", "ann").values()
    done = shop.outbox / "done" / "ann"
    (tryon,) = response["try_ons"]
    assert (response["status"], tryon["state"], tryon["prompt"], tryon["seed"]) == (
        "success",
        "succeeded",
        "dress her",
        7,
    )
    assert tryon["image_path"] == str(done / f"tryon_{tryon['id']}.png")
    assert Path(tryon["image_path"]).read_bytes() == picture()
    assert {file.name for file in done.iterdir()} == {
        *PICTURES,
        "job.json",
        "response.json",
        f"tryon_{tryon['id']}.png",
    }
    (request,) = shop.orchestra.all(topics.TRYON_REQUESTS)
    assert Path(request.value["person_image_path"]).read_bytes() == PICTURES["person.png"]
    assert Path(request.value["garment_image_path"]).read_bytes() == PICTURES["garment.png"]
    shop.nothing_left()


def test_several_garments_are_several_try_ons(shop: Shop) -> None:
    shop.drop_pictures("ann", "garment_2.png", "garment_3.jpg")
    with shop.open():
        (response,) = shop.wait_out("done", "ann").values()
    paths = {tryon["image_path"] for tryon in response["try_ons"]}
    assert len(paths) == 3
    assert all(Path(path).is_file() for path in paths)


def test_a_job_file_and_its_pictures_beside_it(shop: Shop) -> None:
    for name, content in PICTURES.items():
        (shop.inbox / name).write_bytes(content)
    shop.drop("bob", person_image_path="person.png", garment_image_path="garment.png")
    with shop.open():
        (response,) = shop.wait_out("done", "bob").values()
    assert response["try_ons"][0]["state"] == "succeeded"
    assert (shop.inbox / "person.png").exists(), "others may be tried on it"


def test_a_stage_that_fails(shop: Shop) -> None:
    shop.orchestra.stages["sampling"].fail()
    shop.drop_pictures("ann")
    with shop.open():
        (response,) = shop.wait_out("failed", "ann").values()
    assert (response["status"], response["error_code"], response["retryable"]) == ("error", "PUPPET_BROKEN", False)
    (tryon,) = response["try_ons"]
    assert (tryon["state"], tryon["problem"]["step"]) == ("failed", "sampling")


@pytest.mark.parametrize(
    ("files", "fields", "code"),
    [
        (["person.png"], {}, "INVALID_REQUEST"),
        (["garment.png"], {}, "INVALID_REQUEST"),
        (["person.png", "person.jpg", "garment.png"], {}, "INVALID_REQUEST"),
        (["person.png", "garment.png"], {"colour": "green"}, "INVALID_REQUEST"),
        (["person.png", "garment.png"], {"steps": 0}, "INVALID_REQUEST"),
        (["person.png", "garment.png"], {"output_dir": "/somewhere"}, "PATH_NOT_ALLOWED"),
        (["person.png"], {"garment_image_path": "/etc/passwd"}, "PATH_NOT_ALLOWED"),
        (["person.png"], {"garment_image_path": "../../garment.png"}, "PATH_NOT_ALLOWED"),
        (["person.png"], {"garment_image_path": "gone.png"}, "IMAGE_NOT_FOUND"),
        (["person.png", "garment.txt"], {}, "IMAGE_INVALID"),
        (["person.png", "garment.png"], {"callback_url": "http://169.254.169.254/"}, "CALLBACK_NOT_ALLOWED"),
    ],
    ids=str,
)
def test_bad_jobs(shop: Shop, files: list[str], fields: dict[str, Any], code: str) -> None:
    content = {name: b"no picture" if name.endswith(".txt") else picture() for name in files}
    shop.drop_folder("job", content, **fields)
    with shop.open():
        (response,) = shop.wait_out("failed", "job").values()
    assert (response["status"], response["error_code"]) == ("error", code)
    assert shop.asked() == []


def test_several_are_under_way_at_once_but_no_more_than_may(shop: Shop) -> None:
    shop.orchestra.stages["sampling"].hold()
    for number in range(3):
        shop.drop_pictures(f"job-{number}")
    with shop.open(files_max_jobs=2):
        until(lambda: len(shop.asked()) == 2, "two are under way")
        shop.orchestra.stages["sampling"].wait_begun()
        waiting = [each.name for each in shop.inbox.iterdir() if each.name != ".claims"]
        assert len(waiting) == 1
        shop.orchestra.stages["sampling"].go()
        shop.wait_out("done", "job-0", "job-1", "job-2")
    assert len(shop.asked()) == len(set(shop.asked())) == 3


def begun(inbox: Path) -> list[int]:
    """How often work on each job in hand has begun: what puts a job aside in the end."""
    return [json.loads(claim.read_text())["begun"] for claim in inbox.glob(".claims/*/claim.json")]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_who_comes_next_waits_for_what_was_asked_for(shop: Shop, how: signal.Signals) -> None:
    """As often as it takes: waiting is not what ends a process."""
    shop.orchestra.stages["sampling"].hold()
    shop.drop_pictures("ann", "garment_2.png")
    for times in range(1, 5):
        with shop.serving(f"process-{times}") as process:
            process.wait_for("'ann'" if times == 1 else "taken back")
            until(lambda: len(shop.asked()) == 2, "both try-ons are asked for")
            until(lambda: begun(shop.inbox) == [0], "it has nothing to do but wait")
            process.send(how)
            assert process.ended() == (0 if how == signal.SIGTERM else -signal.SIGKILL)
    assert shop.out("done") == shop.out("failed") == {}
    shop.orchestra.stages["sampling"].go()
    with shop.serving("last"):
        (response,) = shop.wait_out("done", "ann").values()
    assert sorted(shop.asked()) == sorted(tryon["id"] for tryon in response["try_ons"])


def test_several_processes_on_one_inbox_ask_once_for_each(shop: Shop) -> None:
    names = [f"job-{number}" for number in range(10)]
    for name in names:
        shop.drop_pictures(name)
    with shop.open(), shop.open():
        shop.wait_out("done", *names)
    assert len(shop.asked()) == len(set(shop.asked())) == len(names)
    shop.nothing_left()


def test_flags_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILES_MAX_JOBS", "3")
    flags = ["--mode", "files", "--inbox", "in", "--outbox", "out", "--kafka-bootstrap-servers", "there:9"]
    config = files_config(flags)
    assert (config.files_inbox, config.files_outbox, config.files_max_jobs) == (Path("in"), Path("out"), 3)
    assert config.kafka_bootstrap_servers == "there:9"
    (tmp_path / "file").touch()
    assert run_files(["--mode", "files", "--inbox", str(tmp_path / "file")]) == 1
