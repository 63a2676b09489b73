"""Small good requests, and the two things that can become of a changed one: an error that leaves nothing, or an answer.

A test changes one field of a good request, so that whatever is said can only be about that field.
"""

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from shared_utils.comfy.progress import Watcher, unwatched
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import Failure, Success
from shared_utils.stage import Stage, answer

RED = (200, 50, 20)
RETRYABLE = {"STORAGE_FULL", "OUT_OF_MEMORY"}


@dataclass(frozen=True)
class Good:
    """Files that are fine."""

    picture: str
    latent: str
    conditioning: str

    def request(self, stage: str) -> dict[str, Any]:
        """The smallest request that this stage answers with success."""
        requests: dict[str, dict[str, Any]] = {
            "latent_encoder": {"image_path": self.picture, "megapixels": 0.01},
            "text_encoder": {
                "image1_path": self.picture,
                "image2_path": self.picture,
                "image3_path": self.picture,
                "megapixels": 0.01,
            },
            "sampling": {
                "positive_encoding": self.conditioning,
                "negative_encoding": self.conditioning,
                "latent_image": self.latent,
                "steps": 1,
                "seed": 1,
            },
            "decoding": {"latent_path": self.latent},
        }
        return requests[stage]


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    folder = tmp_path_factory.mktemp("good")
    Image.new("RGB", (96, 64), RED).save(folder / "picture.png")
    torch.save(torch.zeros(1, 16, 1, 8, 8), folder / "latent.pt")
    conditioning = [[torch.randn(1, 6, 256), {"reference_latents": [torch.randn(1, 16, 1, 8, 8)]}]]
    torch.save(conditioning, folder / "conditioning.pt")
    return Good(*(str(folder / name) for name in ("picture.png", "latent.pt", "conditioning.pt")))


Refused = Callable[..., Failure]
Answered = Callable[..., Any]


@pytest.fixture
def refused(tmp_path: Path, comfy: Comfy, good: Good) -> Refused:
    """Sends a changed request, which must be answered with this code, name the culprits, and leave nothing behind."""

    def check(stage: Stage, code: str, *culprits: str, watcher: Watcher = unwatched, **changes: Any) -> Failure:
        before = _files(tmp_path)
        response = answer(stage, _request(stage, good, tmp_path, changes), watcher)
        assert isinstance(response, Failure), f"there is an answer: {response}"
        assert response.error_code == code, f"{response.error_code}: {response.error_message}"
        assert response.retryable == (code in RETRYABLE)
        missing = [culprit for culprit in culprits if culprit not in response.error_message]
        assert not missing, f"{missing} not named in: {response.error_message}"
        assert "Traceback" not in response.error_message
        assert "\n" not in response.error_message
        response.model_dump_json()  # every transport has to be able to send it
        assert _files(tmp_path) == before, "something was left behind"
        _check_private_folders(comfy)
        return response

    return check


@pytest.fixture
def answered(tmp_path: Path, comfy: Comfy, good: Good) -> Answered:
    """Sends a changed request, which must succeed all the same."""

    def check(stage: Stage, **changes: Any) -> Success:
        response = answer(stage, _request(stage, good, tmp_path, changes))
        assert isinstance(response, Success), f"{response.error_code}: {response.error_message}"
        assert not list(tmp_path.rglob("*.part"))
        _check_private_folders(comfy)
        return response

    return check


def _request(stage: Stage, good: Good, folder: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    return {"output_dir": str(folder / "out"), **good.request(stage.name), **changes}


def _files(folder: Path) -> dict[Path, int]:
    """Every file and when it was last written: a failure may neither leave a new one nor spoil an old one."""
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


def _check_private_folders(comfy: Comfy) -> None:
    """ComfyUI's own copies of pictures are gone too."""
    assert not [*comfy.input_dir.iterdir(), *comfy.output_dir.iterdir()]


class Payload:
    """Code in a pickle: whoever loads it without care makes the folder `mark`."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)

    def save(self, file: Path) -> None:
        torch.save(self, file)

    def dump(self, file: Path) -> None:
        file.write_bytes(pickle.dumps(self))

    def check_that_it_would_run(self, file: Path) -> None:
        """Load the file without care, so that a mark that is missing later proves something."""
        if file.read_bytes().startswith(b"PK"):
            with file.open("rb") as content:  # of a path, torch.load would believe the ending
                torch.load(content, weights_only=False)
        else:
            pickle.loads(file.read_bytes())  # noqa: S301  the danger is the point
        assert self.mark.is_dir()
        self.mark.rmdir()
