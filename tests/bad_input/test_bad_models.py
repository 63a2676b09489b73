"""Models that are missing, cut off, of another kind, or code: said by name and kind, and nothing of them is run."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from shared_utils.contracts import CLIP, LORA, UNET, VAE
from tests.bad_input.conftest import Answered, Payload, Refused
from tests.conftest import Stages


@dataclass(frozen=True)
class Use:
    """A field in which a stage names a model."""

    stage: str
    kind: str

    @property
    def field(self) -> str:
        return f"{self.kind}_model_name"

    @property
    def not_found(self) -> str:
        return f"{self.kind.upper()}_MODEL_NOT_FOUND"

    @property
    def invalid(self) -> str:
        return f"{self.kind.upper()}_MODEL_INVALID"

    def __str__(self) -> str:
        return f"{self.stage}-{self.kind}"


USES = [
    Use("latent_encoder", "vae"),
    Use("text_encoder", "vae"),
    Use("decoding", "vae"),
    Use("text_encoder", "clip"),
    Use("sampling", "unet"),
    Use("sampling", "lora"),
]
# One of each kind: what a file is found to be does not depend on who asks.
KINDS = [use for use in USES if str(use) not in ("text_encoder-vae", "decoding-vae")]
FILES = {
    "vae": Path("vae", VAE),
    "clip": Path("text_encoders", CLIP),
    "unet": Path("diffusion_models", UNET),
    "lora": Path("loras", LORA),
}

each_use = pytest.mark.parametrize("use", USES, ids=str)
each_kind = pytest.mark.parametrize("use", KINDS, ids=str)


@pytest.fixture(scope="module")
def shelf(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model folders with the good model and, beside it, the others under its kind, and one cut off."""
    folder = tmp_path_factory.mktemp("shelf")
    for kind, file in FILES.items():
        place = folder / file.parent
        place.mkdir()
        (place / file.name).symlink_to(model_dir / file)
        for other in FILES.keys() - {kind}:
            (place / f"really-a-{other}.safetensors").symlink_to(model_dir / FILES[other])
        content = (model_dir / file).read_bytes()
        (place / "half.safetensors").write_bytes(content[: len(content) // 2])
        (place / "header.safetensors").write_bytes(content[:100])
        (place / "empty.safetensors").touch()
        (place / "text.safetensors").write_text("This is no model.\n" * 100)
        torch.save({"weight": torch.zeros(1)}, place / "other-tensors.pt")
        torch.save(["no", "tensors"], place / "no-tensors.pt")
        (place / "folder.safetensors").mkdir()
    return folder


@pytest.fixture(scope="module")
def on_shelf(make_stages: Callable[..., Stages], shelf: Path) -> Stages:
    return make_stages(model_dir=shelf)


@each_use
@pytest.mark.parametrize("name", ["gone.safetensors", "sub/folder/gone.safetensors", "x" * 255])
def test_unknown_name_is_answered_with_the_known_ones(stages: Stages, refused: Refused, use: Use, name: str) -> None:
    refused(getattr(stages, use.stage), use.not_found, name, FILES[use.kind].name, **{use.field: name})


@each_kind
def test_folder_under_that_name(on_shelf: Stages, refused: Refused, use: Use) -> None:
    refused(getattr(on_shelf, use.stage), use.not_found, "folder.safetensors", **{use.field: "folder.safetensors"})


@pytest.mark.parametrize("name", ["pixel_space", "taesd", "taesdxl", "taehv"])
@pytest.mark.parametrize("stage", ["latent_encoder", "text_encoder", "decoding"])
def test_vaes_that_are_no_files(stages: Stages, refused: Refused, stage: str, name: str) -> None:
    """ComfyUI's loader knows some names by heart; here a model is a file."""
    refused(getattr(stages, stage), "VAE_MODEL_NOT_FOUND", name, VAE, vae_model_name=name)


@pytest.mark.parametrize("use", KINDS[:-1], ids=str)  # the LoRA's turn comes after the diffusion model's
def test_no_model_folder_at_all(
    make_stages: Callable[..., Stages], on_shelf: Stages, refused: Refused, tmp_path: Path, use: Use
) -> None:
    """Nor does the answer list what lies in the folders of other settings."""
    name = FILES[use.kind].name
    refused(getattr(on_shelf, use.stage), use.not_found, name, **{use.field: "gone.safetensors"})
    nowhere = make_stages(model_dir=tmp_path / "nowhere")
    failure = refused(getattr(nowhere, use.stage), use.not_found, "gone.safetensors", **{use.field: "gone.safetensors"})
    assert name not in failure.error_message


@each_use
@pytest.mark.parametrize(
    "name",
    [
        "../secret.safetensors",
        "sub/../../secret.safetensors",
        "..\\secret.safetensors",
        "/etc/passwd",
        "//x",
        "./x",
        "..",
        ".",
        "",
        "x/",
        "a\nb",
        "a\x00b",
        b"\xff".decode(errors="surrogateescape"),
        "x" * 256,
    ],
    ids=ascii,
)
def test_name_that_leads_out(stages: Stages, refused: Refused, use: Use, name: str) -> None:
    refused(getattr(stages, use.stage), "INVALID_REQUEST", f"{use.field}=", **{use.field: name})


UNUSABLE = ["half.safetensors", "header.safetensors", "empty.safetensors", "text.safetensors"]
UNUSABLE += ["other-tensors.pt", "no-tensors.pt"]


@each_kind
@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_file(on_shelf: Stages, refused: Refused, use: Use, name: str) -> None:
    refused(getattr(on_shelf, use.stage), use.invalid, name, **{use.field: name})


@each_use
def test_cut_off_for_every_stage(on_shelf: Stages, refused: Refused, use: Use) -> None:
    refused(getattr(on_shelf, use.stage), use.invalid, "half.safetensors", **{use.field: "half.safetensors"})


@pytest.mark.parametrize(
    ("use", "other"),
    [(use, other) for use in KINDS for other in FILES if other != use.kind],
    ids=lambda value: getattr(value, "kind", value),
)
def test_model_of_another_kind(on_shelf: Stages, refused: Refused, use: Use, other: str) -> None:
    name = f"really-a-{other}.safetensors"
    refused(getattr(on_shelf, use.stage), use.invalid, name, **{use.field: name})


@each_kind
@pytest.mark.parametrize("ending", [".pt", ".ckpt", ".safetensors"])
@pytest.mark.parametrize("written", [Payload.save, Payload.dump])
def test_code_in_a_model_is_not_run(
    on_shelf: Stages,
    refused: Refused,
    shelf: Path,
    tmp_path: Path,
    use: Use,
    ending: str,
    written: Callable[[Payload, Path], None],
) -> None:
    payload = Payload(tmp_path / "mark")
    file = (shelf / FILES[use.kind]).with_name(f"code{ending}")
    written(payload, file)
    payload.check_that_it_would_run(file)
    refused(getattr(on_shelf, use.stage), use.invalid, file.name, **{use.field: file.name})
    assert not payload.mark.exists()


@each_kind
def test_code_is_not_offered_as_a_way_out(
    on_shelf: Stages, refused: Refused, shelf: Path, tmp_path: Path, use: Use
) -> None:
    """PyTorch's own message advises to load the file with all that is in it."""
    file = (shelf / FILES[use.kind]).with_name("code.pt")
    Payload(tmp_path / "mark").save(file)
    failure = refused(getattr(on_shelf, use.stage), use.invalid, file.name, **{use.field: file.name})
    assert "weights_only" not in failure.error_message


@pytest.mark.parametrize("use", [use for use in KINDS if use.stage != "text_encoder"], ids=str)
def test_next_request_works(on_shelf: Stages, refused: Refused, answered: Answered, use: Use) -> None:
    stage = getattr(on_shelf, use.stage)
    refused(stage, use.invalid, "half.safetensors", **{use.field: "half.safetensors"})
    answered(stage)


def test_model_that_was_cut_off_while_it_was_loaded(
    make_stages: Callable[..., Stages], model_dir: Path, refused: Refused, answered: Answered, tmp_path: Path
) -> None:
    """A file that changes is another model: the good one in memory does not hide that it is gone."""
    folder = tmp_path / "models" / "vae"
    folder.mkdir(parents=True)
    file = folder / VAE
    shutil.copy(model_dir / "vae" / VAE, file)
    stages = make_stages(model_dir=folder.parent)
    answered(stages.decoding)
    file.write_bytes(file.read_bytes()[:1000])
    refused(stages.decoding, "VAE_MODEL_INVALID", VAE)
    file.unlink()
    refused(stages.decoding, "VAE_MODEL_NOT_FOUND", VAE)


def test_lora_is_not_needed_at_strength_0(stages: Stages, answered: Answered) -> None:
    answered(stages.sampling, lora_model_name="gone.safetensors", lora_strength=0)
