"""What a worker makes of a job, and where that goes."""

import json
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from shared_utils.errors import InvalidRequestError, OutputDirNotWritableError, PathNotAllowedError
from shared_utils.transports.files.command import files_settings, run_files
from shared_utils.transports.files.worker import Worker
from tests.conftest import Stages
from tests.kafka.support import Puppet, until
from tests.shared_utils.transports.files.support import Clock, Folders, done_by


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_real_stage(folders: Folders, stages: Stages, kind: str, tmp_path: Path) -> None:
    """The results lie beside the response, whose paths are those where they are."""
    drop = folders.drop if kind == "file" else folders.drop_folder
    base = folders.inbox if kind == "file" else drop("job", image_path="person.png", megapixels=0.01, request_id="r1")
    if kind == "file":
        drop("job", image_path="person.png", megapixels=0.01, request_id="r1")
    Image.new("RGB", (96, 64), (200, 50, 20)).save(base / "person.png")
    (response,) = done_by(stages.latent_encoder, folders, "job")
    done = folders.outbox / "done" / "job"
    results = ["latent_r1.pt", "latent_r1.pt.json", "scaled_image_r1.png"]
    pictures = ["person.png"] if kind == "folder" else []
    assert names_in(done) == sorted(["job.json", "response.json", *results, *pictures])
    assert response["latent_file_path"] == str(done / "latent_r1.pt")
    latent = torch.load(response["latent_file_path"], weights_only=True)
    assert list(latent.shape) == response["latent_shape"]
    assert names_in(folders.inbox) == ([".claims", "person.png"] if kind == "file" else [".claims"])


def test_results_go_where_the_job_says(folders: Folders) -> None:
    folders.drop("there", output_dir=str(folders.folder / "there"), request_id="r1")
    folders.drop_folder("here", output_dir="deep/here", request_id="r2")
    there, here = done_by(folders.puppet, folders, "there", "here")
    assert there["artifact_path"] == str(folders.folder / "there" / "artifact_path_r1.txt")
    assert here["artifact_path"] == str(folders.outbox / "done" / "here" / "deep" / "here" / "artifact_path_r2.txt")
    for response in (there, here):
        assert Path(response["artifact_path"]).is_file()


def test_a_failure_and_another_try(folders: Folders, stages: Stages) -> None:
    folders.drop_folder("job", {"person.png": b"This is no picture."}, image_path="person.png", correlation_id="c1")
    (failure,) = done_by(stages.latent_encoder, folders, "job", which="failed")
    failed = folders.outbox / "failed" / "job"
    assert (failure["status"], failure["error_code"], failure["correlation_id"]) == ("error", "IMAGE_INVALID", "c1")
    assert failure["error_message"] == f"{failed}/person.png is no PNG, JPEG or WebP picture."
    assert names_in(failed) == ["job.json", "person.png", "response.json"]
    Image.new("RGB", (96, 64)).save(failed / "person.png")
    failed.rename(folders.inbox / "job")
    (response,) = done_by(stages.latent_encoder, folders, "job")
    assert response["status"] == "success"
    assert names_in(folders.outbox / "failed") == []


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"{", "INVALID_REQUEST"), (b"[]", "INVALID_REQUEST"), (b'{"output_dir": "../x"}', "PATH_NOT_ALLOWED")],
)
def test_what_is_no_job_fails_too(folders: Folders, content: bytes, code: str) -> None:
    (folders.inbox / "job.json").write_bytes(content)
    (failure,) = done_by(folders.puppet, folders, "job", which="failed")
    assert failure["error_code"] == code
    assert (folders.outbox / "failed" / "job" / "job.json").read_bytes() == content


def test_a_null_is_the_same_as_nothing(folders: Folders) -> None:
    folders.drop("job", output_dir=None, request_id=None)
    (response,) = done_by(folders.puppet, folders, "job")
    assert Path(response["artifact_path"]).parent == folders.outbox / "done" / "job"


def test_nothing_is_overwritten(folders: Folders) -> None:
    done = folders.outbox / "done"
    (done / "job" / "of mine").mkdir(parents=True)
    (done / "job-2").write_text("mine")
    (done / "job-3").symlink_to("nowhere")
    (done / "job-4").mkdir()
    folders.drop("job", request_id="r1")
    folders.drop_folder("x" * 255)
    (done / ("x" * 255)).mkdir()
    worker, stopping = Worker(folders.puppet, folders.settings()), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    until((done / "job-5" / "response.json").exists, "a name that was free")
    until((done / f"{'x' * 253}-2" / "response.json").exists, "a name that is short enough")
    stopping.set()
    thread.join()
    worker.close()
    assert names_in(done / "job") == ["of mine"]
    assert (done / "job-2").read_text() == "mine"
    assert names_in(done / "job-4") == []


NAMES = [
    "two\nlines",
    "-rf",
    "--help",
    " ",
    "a b",
    "ä€😀",
    "日" * 80,
    "'\"$(x)`",
    "*",
    "x" * 250,
    "response",
    "a.json",
    "\\",
]
NAMES += [os.fsdecode(b"\xff\xfe")]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_hostile_names(folders: Folders, kind: str) -> None:
    for name in NAMES:
        (folders.drop if kind == "file" else folders.drop_folder)(name, steps=1)
    responses = done_by(folders.puppet, folders, *NAMES)
    for name, response in zip(NAMES, responses, strict=True):
        assert response["status"] == "success"
        assert response["artifact_path"].startswith(str(folders.outbox / "done" / name) + "/")
    assert folders.out("failed") == {}


def test_links_are_not_followed_out(folders: Folders, stages: Stages, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.new("RGB", (96, 64)).save(outside / "secret.png")
    (outside / "job.json").write_text(json.dumps({"image_path": "secret.png"}))
    (folders.inbox / "file.json").symlink_to(outside / "job.json")
    (folders.inbox / "folder").symlink_to(outside)
    (folders.drop_folder("picture", image_path="a.png") / "a.png").symlink_to(outside / "secret.png")
    (folders.drop_folder("results", image_path="a.png", output_dir="out") / "out").symlink_to(outside)
    names = ("file", "folder", "picture", "results")
    failures = done_by(stages.latent_encoder, folders, *names, which="failed")
    assert [failure["error_code"] for failure in failures] == ["PATH_NOT_ALLOWED"] * 4
    assert names_in(outside) == ["job.json", "secret.png"]


def test_a_job_of_a_gigabyte(folders: Folders) -> None:
    os.truncate(folders.drop("large"), 10**9)
    (failure,) = done_by(folders.puppet, folders, "large", which="failed")
    assert failure["error_code"] == "INVALID_REQUEST"
    assert "MAX_FILE_MB" in failure["error_message"]


def test_an_outbox_on_another_file_system(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied, then made visible in one step; whatever it is interrupted by, it comes out once."""
    other_file_system(folders, monkeypatch)
    folder = folders.drop_folder("job", {"a.png": b"a"}, request_id="r1")
    (folder / "link").symlink_to("a.png")
    os.mkfifo(folder / "pipe")
    (response,) = done_by(folders.puppet, folders, "job")
    done = folders.outbox / "done" / "job"
    assert names_in(done) == ["a.png", "artifact_path_r1.txt", "job.json", "link", "response.json"]
    assert response["artifact_path"] == str(done / "artifact_path_r1.txt")
    folders.nothing_left()


def other_file_system(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def crossing(path: Path, target: Path) -> Path:
        if path.is_relative_to(folders.inbox) != Path(target).is_relative_to(folders.inbox):
            raise OSError(18, os.strerror(18))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", crossing)


class Killed(BaseException):
    """Where a process would end."""


@pytest.mark.parametrize("last", range(1, 6))
def test_killed_on_the_way_to_another_file_system(
    folders: Folders, clock: Clock, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """At each of the renames that it takes."""
    other_file_system(folders, monkeypatch)
    folders.drop_folder("job", {"a.png": b"a"})
    inbox = folders.inbox_seen(clock)
    claim = inbox.next()
    assert claim is not None
    rename, renames = Path.rename, []

    def counted(path: Path, target: Path) -> Path:
        renames.append(target)
        if len(renames) == last:
            raise Killed
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", counted)
        try:
            inbox.finish(claim, succeeded=True, response={"status": "success", "a": str(claim.home / "a.png")})
        except Killed:
            claim.let_go()
    folders.inbox_seen(clock).next()
    assert folders.out("done") == {"job": {"status": "success", "a": str(folders.outbox / "done" / "job" / "a.png")}}
    folders.nothing_left()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_outbox_that_can_not_be_written_to_for_a_while(
    folders: Folders, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is kept, told once that it can't be put there, and put there later."""
    inbox = folders.inbox_seen(clock)
    folders.drop("job")
    claim = inbox.next()
    (folders.outbox / "done").write_text("in the way")
    assert claim is not None
    with caplog.at_level(logging.WARNING, logger="vtryon"):
        inbox.finish(claim, succeeded=True, response={"status": "success"})
        for _ in range(3):
            clock.now += 1
            assert inbox.next() is None
    assert [message.partition(",")[0] for message in warnings(caplog)] == ["can't put 'job' into the outbox"]
    (folders.outbox / "done").unlink()
    clock.now += 1
    assert inbox.next() is None
    assert folders.out("done") == {"job": {"status": "success"}}
    assert folders.puppet.log("begun") == []


def test_a_job_that_can_not_be_taken_is_told_of_and_holds_up_nobody(
    folders: Folders, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rename = Path.rename

    def denied(path: Path, target: Path) -> Path:
        if path.name == "theirs.json":
            raise PermissionError(13, os.strerror(13))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", denied)
    folders.drop("theirs")
    inbox = folders.inbox_seen(clock)
    with caplog.at_level(logging.WARNING, logger="vtryon"):
        for _ in range(3):
            assert inbox.next() is None
            clock.now += 1
    folders.drop("ours")
    claim = inbox.next()
    assert claim is not None
    assert claim.title == "ours"
    (warning,) = warnings(caplog)
    assert "'theirs.json'" in warning
    assert "Permission denied" in warning


def test_a_spoilt_record_loses_no_job(folders: Folders, clock: Clock) -> None:
    """As after a power failure: the job has its claim's name."""
    folders.drop_folder("job", steps=1)
    one = folders.inbox_seen(clock)
    claim = one.next()
    assert claim is not None
    (folders.inbox / ".claims" / claim.id / "claim.json").write_bytes(b"\0" * 20)
    claim.let_go()
    (response,) = done_by(folders.puppet, folders, claim.id)
    assert response["status"] == "success"


def test_told_to_end_it_finishes_what_it_has(folders: Folders) -> None:
    folders.puppet.hold()
    folders.drop("job")
    folders.drop("later")
    with folders.process() as worker:
        folders.puppet.wait_begun()
        worker.send(signal.SIGTERM)
        worker.wait_for("stopping")
        folders.puppet.go()
        assert worker.ended() == 0
    assert len(folders.out("done")) == 1
    assert len(names_in(folders.inbox)) == 2, "the other one waits where it was"
    assert folders.in_hand() == []


def test_or_leaves_it_to_the_next_as_if_nobody_had_begun(folders: Folders) -> None:
    folders.puppet.hold("r1")
    folders.drop("job", request_id="r1")
    for times in range(1, 5):  # more often than a job may end its worker
        with folders.process(name=f"worker-{times}", files_drain_seconds=0) as worker:
            folders.puppet.wait_begun(times)
            worker.send(signal.SIGTERM)
            assert worker.ended() == 0
    assert folders.out("failed") == {}
    folders.puppet.go()
    (response,) = done_by(folders.puppet, folders, "job")
    assert response["status"] == "success"


def test_told_to_end_while_it_warms_up(folders: Folders) -> None:
    class Slow(Puppet):
        def warm_up(self) -> None:
            warming.set()
            go_on.wait()

    warming, go_on, stopping = threading.Event(), threading.Event(), threading.Event()
    worker = Worker(Slow("slow", folders.folder), folders.settings())
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    warming.wait()
    folders.drop("job")
    stopping.set()
    thread.join()
    go_on.set()
    worker.close()
    assert names_in(folders.inbox) == [".claims", "job.json"]


def test_a_stage_that_can_not_warm_up_ends_the_worker(folders: Folders) -> None:
    class Broken(Puppet):
        def warm_up(self) -> None:
            raise InvalidRequestError("no model")

    worker = Worker(Broken("broken", folders.folder), folders.settings())
    with pytest.raises(InvalidRequestError, match="no model"):
        worker.run(threading.Event())
    worker.close()


# ---- the command


def test_folders_that_can_not_be_used(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputDirNotWritableError):
        folders.inbox_seen(Clock(), files_inbox=tmp_path / "file")
    with pytest.raises(OutputDirNotWritableError):
        folders.inbox_seen(Clock(), files_outbox=tmp_path / "file" / "out")
    for inside in (folders.inbox, folders.inbox / "out"):
        with pytest.raises(InvalidRequestError, match="FILES_OUTBOX"):
            folders.inbox_seen(Clock(), files_outbox=inside)
    with pytest.raises(PathNotAllowedError):
        folders.inbox_seen(Clock(), storage_roots=[tmp_path / "elsewhere"])


def test_an_inbox_without_locks(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(37, os.strerror(37))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(OutputDirNotWritableError, match="No locks available"):
        folders.inbox_seen(Clock())


def test_flags_and_environment(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FILES_INBOX", "from/the/environment")
    settings = files_settings("puppet", ["--mode", "files", "--outbox", "given"])
    assert (settings.files_inbox, settings.files_outbox) == (Path("from/the/environment"), Path("given"))
    with pytest.raises(SystemExit):
        files_settings("puppet", ["--help"])
    assert "--inbox DIR" in capsys.readouterr().out


def test_the_exit_code_of_a_worker_that_can_not_start(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run_files(folders.puppet, ["--inbox", str(tmp_path / "file"), "--outbox", str(folders.outbox)]) == 1
