"""The real stages behind HTTP: what they answer there is what they answer anywhere."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shared_utils import turns
from shared_utils.comfy.progress import Step, Watcher
from shared_utils.contracts import VAE, Failure, Success
from shared_utils.stage import Stage, answer
from tests.bad_input.conftest import Good, good
from tests.bad_input.test_bad_parameters import REQUIRED, WRONG, every
from tests.bad_input.test_bad_pictures import FIELDS, UNUSABLE
from tests.conftest import Stages
from tests.shared_utils.transports.rest.door import Door, opened
from tests.shared_utils.transports.rest.stand_in import SOON

__all__ = ["good"]
NAMES = ("latent_encoder", "text_encoder", "sampling", "decoding")


@pytest.fixture(scope="module")
def doors(stages: Stages) -> Iterator[dict[str, Door]]:
    """All four, each on a port of its own."""
    with (
        opened(stages.latent_encoder) as latent_encoder,
        opened(stages.text_encoder) as text_encoder,
        opened(stages.sampling) as sampling,
        opened(stages.decoding) as decoding,
    ):
        yield dict(zip(NAMES, (latent_encoder, text_encoder, sampling, decoding), strict=True))


def steps(ask: Callable[[str, dict[str, Any]], Any], examples: Path, folder: Path) -> Path:
    """A whole try-on, one step after the other; the picture."""
    person, garment = str(examples / "person_masked.png"), str(examples / "garment.png")
    common = {"output_dir": str(folder), "request_id": "r1"}
    scaled = common | {"megapixels": 0.02}
    latent = ask("latent_encoder", scaled | {"image_path": person})
    encoded = ask("text_encoder", scaled | {"image1_path": person, "image2_path": garment, "encode_negative": False})
    inputs = {"positive_encoding": encoded.positive_encoding_path, "latent_image": latent.latent_file_path}
    sampled = ask("sampling", common | inputs | {"seed": 2**64 - 1, "steps": 2})
    assert sampled.metadata.seed == 2**64 - 1
    decoded = ask("decoding", common | {"latent_path": sampled.sampled_latent_path})
    return Path(decoded.image_path)


def test_the_same_pixels_as_standalone(stages: Stages, doors: dict[str, Door], examples: Path, tmp_path: Path) -> None:
    def over_http(name: str, fields: dict[str, Any]) -> Success:
        response = doors[name].ask(fields)
        assert isinstance(response, Success), response
        return response

    def standalone(name: str, fields: dict[str, Any]) -> Success:
        response = answer(getattr(stages, name), fields)
        assert isinstance(response, Success), response
        return response

    here, there = (steps(ask, examples, tmp_path / ask.__name__) for ask in (standalone, over_http))
    assert np.array_equal(np.asarray(Image.open(here)), np.asarray(Image.open(there)))


def check_refused(door: Door, request: dict[str, Any]) -> None:
    """The same answer as without HTTP; what is no JSON has the same code at least."""
    request = request | {"request_id": "r1", "correlation_id": "c1", "output_dir": "out"}
    here, there = answer(door.stage, request), door.ask(request)
    assert isinstance(here, Failure)
    assert isinstance(there, Failure)
    assert there.error_code == here.error_code
    if "no JSON" not in there.error_message:
        assert there.model_copy(update={"timestamp": here.timestamp}) == here


@pytest.mark.parametrize(("name", "field", "value"), every(WRONG))
def test_wrong_value(doors: dict[str, Door], good: Good, name: str, field: str, value: Any) -> None:
    check_refused(doors[name], good.request(name) | {field: value})


@pytest.mark.parametrize(("name", "field"), REQUIRED)
def test_missing_field(doors: dict[str, Door], good: Good, name: str, field: str) -> None:
    check_refused(doors[name], good.request(name) | {field: None})


@pytest.mark.parametrize(("name", "field"), FIELDS[:2])
@pytest.mark.parametrize("picture", UNUSABLE)
def test_unusable_picture(
    doors: dict[str, Door], good: Good, tmp_path: Path, name: str, field: str, picture: str
) -> None:
    (tmp_path / picture).write_bytes(UNUSABLE[picture]())
    check_refused(doors[name], good.request(name) | {field: str(tmp_path / picture)})


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("latent_encoder", {"image_path": "missing.png"}),
        ("latent_encoder", {"vae_model_name": "missing.safetensors"}),
        ("latent_encoder", {"vae_model_name": "../escape.safetensors"}),
        ("sampling", {"sampler_name": "eulr"}),
        ("sampling", {"negative_encoding": None, "cfg": 2.5}),
        ("sampling", {"latent_image": "missing.pt"}),
        ("decoding", {"latent_path": "/dev/zero"}),
        ("decoding", {"output_filename": "../up.png"}),
    ],
    ids=str,
)
def test_what_is_not_there_or_not_allowed(
    doors: dict[str, Door], good: Good, name: str, fields: dict[str, Any]
) -> None:
    check_refused(doors[name], good.request(name) | fields)


def test_models(doors: dict[str, Door]) -> None:
    listing = doors["latent_encoder"].client.get("/v1/models").json()
    (default,) = listing["defaults"]
    assert (default["field"], default["kind"], default["name"], default["miniature"]) == (
        "vae_model_name",
        "VAE",
        VAE,
        True,
    )
    assert default["bytes"] == Path(default["file"]).stat().st_size
    vae = next(model for model in listing["loaded"] if model["kind"] == "VAE")
    assert vae["file"] == default["file"]
    assert vae["bytes"] > 0
    assert vae["miniature"]


def test_models_that_are_not_there(make_stages: Callable[..., Stages], model_dir: Path, good: Good) -> None:
    """They are asked for by other names."""
    stage = make_stages(model_dir=model_dir, vae_model_name="mine.safetensors").decoding
    stage.warm_up = lambda: None  # type: ignore[method-assign]
    with opened(stage) as door:
        assert door.client.get("/v1/models").json()["loaded"] == []
        asked = good.request("decoding") | {"vae_model_name": VAE}
        assert isinstance(door.ask(asked), Success)
        listing = door.client.get("/v1/models").json()
    (default,) = listing["defaults"]
    assert (default["name"], default["file"], default["bytes"], default["miniature"]) == (
        "mine.safetensors",
        None,
        None,
        None,
    )
    assert [model["kind"] for model in listing["loaded"]] == ["VAE"]


def test_a_client_that_goes_away_stops_the_sampler(
    stages: Stages,
    good: Good,
    tmp_path: Path,
    given_up: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two of its steps."""
    sampling, go_on = threading.Event(), threading.Event()
    seen: list[Step] = []

    def held(stage: Stage, fields: Mapping[str, Any], watcher: Watcher) -> Success | Failure:
        def watch(step: Step) -> None:
            if step.node == "KSampler" and step.done:
                seen.append(step)
                sampling.set()
                assert go_on.wait(SOON)
            watcher(step)

        return answer(stage, fields, watch)

    monkeypatch.setattr(turns, "answer", held)
    with opened(stages.sampling) as door:
        with door.caller() as caller:
            caller.ask("/v1/sample", good.request("sampling") | {"steps": 50, "output_dir": str(tmp_path)})
            assert sampling.wait(SOON)
        assert given_up.wait(SOON)
        go_on.set()
        door.service.turns.close(SOON)
    assert len(seen) == 1
    assert not list(tmp_path.glob("*.pt"))


def test_nothing_is_run_that_a_tensor_file_holds(doors: dict[str, Door], tmp_path: Path) -> None:
    torch.save({"samples": threading.Event}, tmp_path / "hostile.pt")
    check_refused(doors["decoding"], {"latent_path": str(tmp_path / "hostile.pt")})
