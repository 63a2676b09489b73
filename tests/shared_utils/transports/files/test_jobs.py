"""What a job may name, and what is said of one that can't be read."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from decoding.models import DecodingRequest
from sampling.models import SamplingRequest
from shared_utils.errors import InvalidRequestError, PathNotAllowedError
from shared_utils.settings import Settings
from shared_utils.transports.files.jobs import Job, path_fields
from text_encoder.models import TextEncoderRequest

HOME = Path("/home/of/results")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    folder.mkdir()
    return folder


def job_with(folder: Path, content: bytes | str) -> Job:
    file = folder / "job.json"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return Job(file, folder, is_folder=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "no JSON"),
        (b"[]", "a JSON list"),
        (b"null", "a JSON NoneType"),
        (b" " * 1_000_001, "larger than 1 MB"),
    ],
    ids=lambda value: repr(value[:10]),
)
def test_no_fields(folder: Path, content: bytes, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        job_with(folder, content).fields(Settings())


def test_a_gigabyte_is_not_read(folder: Path) -> None:
    job = job_with(folder, "{}")
    os.truncate(job.file, 10**9)
    for limit in (512, 0.001):
        with pytest.raises(InvalidRequestError, match="MAX_FILE_MB"):
            job.fields(Settings(max_file_mb=limit))


NO_FILES: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "missing": (lambda file: file.parent, InvalidRequestError, "There is no"),
    "a folder": (Path.mkdir, InvalidRequestError, "Is a directory"),
    "a pipe": (os.mkfifo, InvalidRequestError, "is not a file"),
    "a link": (lambda file: file.symlink_to("/etc/passwd"), PathNotAllowedError, "is a link"),
    "a link to itself": (lambda file: file.symlink_to(file), PathNotAllowedError, "is a link"),
}


@pytest.mark.parametrize("case", NO_FILES)
def test_no_file(folder: Path, case: str) -> None:
    make, error, said = NO_FILES[case]
    make(folder / "job.json")
    with pytest.raises(error, match=said):
        Job(folder / "job.json", folder, is_folder=True).fields(Settings())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(folder: Path) -> None:
    job = job_with(folder, "{}")
    job.file.chmod(0)
    with pytest.raises(InvalidRequestError, match="Permission denied"):
        job.fields(Settings())


def located(folder: Path, value: Any, name: str = "latent_path", **settings: Any) -> Any:
    job = job_with(folder, json.dumps({name: value}))
    read = Settings(**settings)
    return job.located(job.fields(read), path_fields(DecodingRequest), HOME, read)[name]


def test_inputs_are_in_the_jobs_folder_and_results_at_home(folder: Path) -> None:
    assert located(folder, "a.pt") == str(folder / "a.pt")
    assert located(folder, "deep/../a.pt") == str(folder / "deep/../a.pt")
    assert located(folder, "out", "output_dir") == str(HOME / "out")


@pytest.mark.parametrize(
    "value", [None, 7, "", ["a.pt"], {"a": 1}, "/else.pt", "a\x00b", "\ud800", "a\nb", "x" * 5000], ids=ascii
)
def test_what_is_no_relative_path_is_for_the_stage_to_judge(folder: Path, value: Any) -> None:
    assert located(folder, value) == value


@pytest.mark.parametrize("name", ["latent_path", "output_dir"])
@pytest.mark.parametrize("value", ["..", "../a.pt", "a/../../a.pt", "../job-of-another/a.pt"])
def test_none_leads_out(folder: Path, name: str, value: str) -> None:
    with pytest.raises(PathNotAllowedError, match=name):
        located(folder, value, name)


def test_nor_does_a_link(folder: Path) -> None:
    (folder / "link.pt").symlink_to("/etc/passwd")
    (folder / "etc").symlink_to("/etc")
    (folder / "inside.pt").symlink_to("a.pt")
    for value in ("link.pt", "etc/passwd"):
        with pytest.raises(PathNotAllowedError, match=value):
            located(folder, value)
    assert located(folder, "inside.pt") == str(folder / "inside.pt")


def test_but_into_the_storage(folder: Path, tmp_path: Path) -> None:
    roots = [tmp_path / "storage", tmp_path / "more"]
    assert located(folder, "../more/a.pt", storage_roots=roots) == str(folder / "../more/a.pt")
    with pytest.raises(PathNotAllowedError):
        located(folder, "../elsewhere/a.pt", storage_roots=roots)


def test_which_fields_are_paths() -> None:
    assert set(path_fields(SamplingRequest)) == {"positive_encoding", "negative_encoding", "latent_image", "output_dir"}
    assert set(path_fields(TextEncoderRequest)) == {"image1_path", "image2_path", "image3_path", "output_dir"}
