"""What the tests share: miniature models, one started ComfyUI, and the four stages on them."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from decoding.service import Decoding
from latent_encoder.service import LatentEncoder
from orchestrator.cli.server import ServerSettings
from orchestrator.gateway.settings import GatewayConfig
from sampling.service import Sampling
from shared_utils.comfy.loader import Models
from shared_utils.comfy.miniature import Sizes, write_miniatures
from shared_utils.comfy.runtime import Comfy, start
from shared_utils.downloads.settings import DownloadSettings
from shared_utils.settings import Settings
from shared_utils.transports.files.settings import FilesSettings
from shared_utils.transports.grpc.settings import GrpcSettings
from shared_utils.transports.kafka.settings import WorkerSettings
from shared_utils.transports.rest.settings import RestSettings
from shared_utils.transports.triton.settings import TritonSettings
from text_encoder.service import TextEncoder

# How long a machine takes to think of an example says nothing about the code.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

# Smaller than the miniatures for people: the comparison of every case with the monolith spends its time in the models.
SMALL = Sizes(layers=1, text_layers=1, vae_width=2)
STAGES = (LatentEncoder, TextEncoder, Sampling, Decoding)


@pytest.fixture(autouse=True)
def _nothing_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the user's, no .env, and files land in the test's own folder."""
    ways_in = (WorkerSettings, RestSettings, GrpcSettings, FilesSettings, GatewayConfig, ServerSettings, TritonSettings)
    others = (DownloadSettings,)
    kinds = (*(stage.options_type for stage in STAGES), *ways_in, *others)
    known = {name.upper() for kind in kinds for name in kind.model_fields}
    for name in known & os.environ.keys():
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def examples() -> Path:
    return ROOT / "examples"


@pytest.fixture(scope="session")
def comfy() -> Comfy:
    return start(Settings(comfyui_path=None, comfyui_device="cpu", comfyui_attention="pytorch"))


@pytest.fixture(scope="session")
def model_dir(comfy: Comfy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of miniature models."""
    folder = tmp_path_factory.mktemp("models")
    write_miniatures(comfy, folder, seed=1, sizes=SMALL)
    return folder


@dataclass(frozen=True)
class Stages:
    """The four stages of one process, on shared models."""

    models: Models
    latent_encoder: LatentEncoder
    text_encoder: TextEncoder
    sampling: Sampling
    decoding: Decoding


@pytest.fixture(scope="session")
def make_stages(comfy: Comfy) -> Callable[..., Stages]:
    """Makes the four stages with the settings given. They do all work anew, unless the settings say otherwise."""

    def make(**settings: Any) -> Stages:
        configs = [stage.options_type(**{"reuse_memory_mb": 0, **settings}) for stage in STAGES]
        models = Models(configs[0])
        return Stages(models, *(stage(config, models) for stage, config in zip(STAGES, configs, strict=True)))

    return make


@pytest.fixture(scope="session")
def stages(make_stages: Callable[..., Stages], model_dir: Path) -> Stages:
    """The four stages, their models loaded once for all tests."""
    return make_stages(model_dir=model_dir)


@pytest.fixture
def fresh_stages(make_stages: Callable[..., Stages], model_dir: Path) -> Stages:
    """Four stages that have not loaded anything yet."""
    return make_stages(model_dir=model_dir)


@pytest.fixture(scope="session")
def oracle(
    pictures: dict[str, Path], model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Any], dict[str, Any]]:
    """What the whole workflow in one process makes of a case: found once, since it takes seconds."""
    from tests.exactness import one_process

    known: dict[Any, dict[str, Any]] = {}

    def find(case: Any) -> dict[str, Any]:
        if case not in known:
            known[case] = one_process(case, pictures, tmp_path_factory.mktemp("monolith"), model_dir)
        return known[case]

    return find


@pytest.fixture(scope="session")
def pictures(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The example person in three shapes, a garment, and a mask; small, since the nodes scale them anyway."""
    folder = tmp_path_factory.mktemp("pictures")
    sizes = {"portrait": (192, 256), "landscape": (250, 190), "square": (200, 200)}
    with Image.open(examples / "person_masked.png") as person, Image.open(examples / "garment.png") as garment:
        for name, size in sizes.items():
            person.resize(size).save(folder / f"{name}.png")
        green = np.all(np.asarray(person.convert("RGB")) == (0, 255, 0), axis=2)
        Image.fromarray(green).resize((192, 256)).convert("RGB").save(folder / "mask.png")
        garment.resize((150, 200)).convert("RGB").save(folder / "garment.jpg", quality=90)
    return {file.stem: file for file in folder.iterdir()}
