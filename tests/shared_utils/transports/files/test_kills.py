"""Workers that are killed, at every moment there is, and several that share an inbox."""

import signal
from contextlib import ExitStack

import pytest

from tests.kafka.support import until
from tests.shared_utils.transports.files.support import Clock, Folders

MOMENTS = [f"{when} {step}" for step in ("take", "answer", "bring", "put", "remove") for when in ("before", "after")]


def worked(folders: Folders) -> list[int]:
    return folders.puppet.log("done")


def wait_worked(folders: Folders, times: int) -> None:
    until(lambda: len(worked(folders)) >= times, "they are at work")


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment(folders: Folders, moment: str, kind: str) -> None:
    """The next worker has it done, once, with one response; work that was answered is not done again."""
    (folders.drop if kind == "file" else folders.drop_folder)("job", steps=1, request_id="r1")
    with folders.process(moment) as worker:
        folders.frozen()
        worker.send(signal.SIGKILL)
        worker.ended()
    with folders.process(name="next"):
        (response,) = folders.wait_out("done", "job").values()
        folders.nothing_left()
    assert response["status"] == "success"
    assert folders.out("failed") == {}
    again = moment == "before answer"  # nobody had heard of the answer
    assert len(worked(folders)) == 1 + again
    assert (folders.outbox / "done" / "job" / "artifact_path_r1.txt").read_text() == "r1"
    assert response["artifact_path"] == str(folders.outbox / "done" / "job" / "artifact_path_r1.txt")


def test_killed_while_it_works(folders: Folders) -> None:
    folders.puppet.hold()
    folders.drop("job", request_id="r1")
    with folders.process() as worker:
        folders.puppet.wait_begun()
        worker.send(signal.SIGKILL)
        worker.ended()
    folders.puppet.go()
    with folders.process(name="next") as other:
        folders.wait_out("done", "job")
        other.wait_for("taken back from a worker that ended: 'job.json'")
    assert len(worked(folders)) == 1


def test_taken_back_by_one_that_runs_already(folders: Folders) -> None:
    folders.puppet.hold("r1")
    folders.drop("job", request_id="r1")
    with folders.process() as worker:
        folders.puppet.wait_begun()
        with folders.process(name="other"):
            folders.drop("second", request_id="r2")
            folders.wait_out("done", "second")
            assert len(folders.puppet.log("begun", "r1")) == 1, "the first is in hand"
            folders.puppet.go()
            worker.send(signal.SIGKILL)
            folders.wait_out("done", "job")


def test_a_job_that_kills_its_workers_fails_in_the_end(folders: Folders) -> None:
    folders.puppet.hold("r1")
    folders.drop("deadly", request_id="r1")
    for times in (1, 2, 3):
        with folders.process(name=f"worker-{times}") as worker:
            folders.puppet.wait_begun(times)
            worker.send(signal.SIGKILL)
            worker.ended()
    folders.drop("good", request_id="r2")
    with folders.process(name="last"):
        (failure,) = folders.wait_out("failed", "deadly").values()
        folders.wait_out("done", "good")
    assert (failure["error_code"], failure["retryable"]) == ("WORKER_DIED", False)
    assert "3 workers" in failure["error_message"]
    assert len(folders.puppet.log("begun", "r1")) == 3


@pytest.mark.parametrize("signals", [[], [signal.SIGKILL, signal.SIGKILL]], ids=["undisturbed", "with kills"])
def test_several_workers_do_each_of_many_once(folders: Folders, signals: list[signal.Signals]) -> None:
    names = [f"job-{number}" for number in range(300)]
    for number, name in enumerate(names):
        (folders.drop if number % 2 else folders.drop_folder)(name, steps=0, request_id=name)
    with ExitStack() as running:
        workers = [running.enter_context(folders.process(name=f"worker-{n}")) for n in range(2 + len(signals))]
        for number, kill in enumerate(signals):
            wait_worked(folders, 50 * (number + 1))
            workers[number].send(kill)
        done = folders.wait_out("done", *names)
        folders.nothing_left()
    assert sorted(done) == sorted(names)
    assert folders.out("failed") == {}
    times = [len(folders.puppet.log("done", name)) for name in names]
    # One killed between its work and its answer may have to do it again; nobody else may.
    assert min(times) == 1
    assert sum(times) <= len(names) + len(signals)
    if not signals:
        assert len(set(worked(folders))) == 2, "both had some"


def test_two_that_look_at_once(folders: Folders, clock: Clock) -> None:
    """Each has some, none is had twice."""
    one, other = folders.inbox_seen(clock), folders.inbox_seen(clock)
    for number in range(10):
        folders.drop(f"job-{number}")
    taken = [inbox.next() for _ in range(6) for inbox in (one, other)]
    titles = [claim.title for claim in taken if claim is not None]
    assert sorted(titles) == [f"job-{number}" for number in range(10)]
    assert taken[0] is not None
    one.leave(taken[0])
    clock.now += 1
    again = other.next()
    assert again is not None
    assert (again.title, again.record.begun) == (taken[0].title, 1), "as if nobody had begun it"
