"""`.pt` files that are damaged, hostile, or hold other tensors: refused before they cost memory, and never run."""

import copy
import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from shared_utils.contracts import Failure
from shared_utils.stage import answer
from tests.bad_input.conftest import Answered, Good, Payload, Refused
from tests.conftest import Stages

LATENT_FIELDS = [("decoding", "latent_path"), ("sampling", "latent_image")]
CONDITIONING_FIELDS = [("sampling", "positive_encoding"), ("sampling", "negative_encoding")]
each_latent = pytest.mark.parametrize(("stage", "field"), LATENT_FIELDS)
each_conditioning = pytest.mark.parametrize(("stage", "field"), CONDITIONING_FIELDS)
each_field = pytest.mark.parametrize(("stage", "field"), LATENT_FIELDS + CONDITIONING_FIELDS)


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape or (1, 16, 1, 8, 8))


def text(tokens: int = 6, width: int = 256, **metadata: Any) -> list[Any]:
    return [[torch.randn(1, tokens, width), metadata]]


def saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def in_file(folder: Path, content: Any, name: str = "input.pt") -> str:
    """A file of these bytes, or of what torch.save makes of anything else."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else saved(content))
    return str(file)


def compressed(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    return buffer.getvalue()


def zip_of_something_else() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("notes/today.txt", "This is no tensor.")
    return buffer.getvalue()


def overlapping() -> bytes:
    """Tensors of 400 kB each that all lie in the same bytes of the file: a zip bomb that compresses nothing."""
    content = saved({"samples": zeros(), "more": [torch.zeros(100_000) for _ in range(20)]})
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        for entry in source.infolist():
            folder, _, number = entry.filename.rpartition("/")
            if folder.endswith("/data") and number not in ("0", "1"):
                twin = copy.copy(target.getinfo(f"{folder}/1"))
                twin.filename = entry.filename
                target.filelist.append(twin)
            else:
                target.writestr(entry.filename, source.read(entry))
    return buffer.getvalue()


class Claim:
    """A tensor that says it has any size and strides, on four numbers."""

    def __init__(self, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> None:
        storage: Any = torch.storage.TypedStorage(  # type: ignore[no-untyped-call]
            wrap_storage=torch.zeros(4).untyped_storage(), dtype=torch.float32, _internal=True
        )
        self.arguments: tuple[Any, ...] = storage, offset, size, stride, False, OrderedDict()

    def __reduce__(self) -> tuple[Callable[..., torch.Tensor], tuple[Any, ...]]:
        return torch._utils._rebuild_tensor_v2, self.arguments


UNUSABLE: dict[str, Callable[[], bytes]] = {
    "an empty file": lambda: b"",
    "a text": lambda: b"This is no tensor.\n" * 100,
    "half a file": lambda: saved(text())[:1500],
    "all but the last byte": lambda: saved(text())[:-1],
    "a zip of something else": zip_of_something_else,
    "compressed": lambda: compressed(saved(zeros())),
    "overlapping": overlapping,
    "the old format": lambda: saved(zeros(), _use_new_zipfile_serialization=False),
    "a picture": lambda: Path(__file__).parents[2].joinpath("examples", "garment.png").read_bytes(),
    "a string": lambda: saved("samples"),
    "a number": lambda: saved(3),
    "nothing": lambda: saved(None),
    "a list of strings": lambda: saved(["samples", "tensor"]),
    "an empty list": lambda: saved([]),
    "a dict without samples": lambda: saved({"latent": zeros()}),
    "a function": lambda: saved(torch.nn.functional.relu),
    "more than it holds": lambda: saved(Claim((1, 16, 1, 400, 400), (2_560_000, 160_000, 160_000, 400, 1))),
    "more than there is memory": lambda: saved(Claim((1, 16, 1, 10**9, 10**9), (0, 10**18, 10**18, 10**9, 1))),
    "memory that is not its own": lambda: saved(Claim((1, 16, 1, 8, 8), (0, 0, 0, 0, 0), offset=10**12)),
}


@each_field
@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_file(stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, case: str) -> None:
    file = in_file(tmp_path, UNUSABLE[case]())
    refused(getattr(stages, stage), "INPUT_TENSOR_INVALID", file, **{field: file})


def make_link(link: Path, target: Path) -> Path:
    link.symlink_to(target)
    return link


NO_FILE: dict[str, Callable[[Path], Path]] = {
    "missing": lambda folder: folder / "missing.pt",
    "a folder": lambda folder: folder,
    "below a file": lambda folder: Path(__file__) / "latent.pt",
    "a device": lambda folder: Path("/dev/zero"),
    "a link to nothing": lambda folder: make_link(folder / "link.pt", folder / "gone.pt"),
    "a link to itself": lambda folder: make_link(folder / "loop.pt", folder / "loop.pt"),
    "a name that is too long": lambda folder: folder / ("x" * 300),
    "the home of nobody": lambda folder: Path("~no-such-user/latent.pt"),
}


@each_field
@pytest.mark.parametrize("case", NO_FILE)
def test_no_file(stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, case: str) -> None:
    path = str(NO_FILE[case](tmp_path))
    refused(getattr(stages, stage), "INPUT_TENSOR_NOT_FOUND", path, **{field: path})


@each_field
def test_larger_than_max_file_mb(
    make_stages: Callable[..., Stages], model_dir: Path, refused: Refused, tmp_path: Path, stage: str, field: str
) -> None:
    file = in_file(tmp_path, zeros())
    strict = make_stages(model_dir=model_dir, max_file_mb=0.004)
    request = {name: in_file(tmp_path, text(1), "small.pt") for _, name in CONDITIONING_FIELDS}
    culprits = (file, "0.004 MB", "MAX_FILE_MB")
    refused(getattr(strict, stage), "INPUT_TENSOR_INVALID", *culprits, **{**request, field: file})


def appended_to_code(payload: Payload, file: Path) -> None:
    """A pickle to whoever reads from the start, a zip to whoever looks at the end."""
    file.write_bytes(pickle.dumps(payload) + saved(zeros()))


def inside_a_good_latent(payload: Payload, file: Path) -> None:
    torch.save({"samples": zeros(), "more": payload}, file)


def inside_a_good_conditioning(payload: Payload, file: Path) -> None:
    torch.save(text(more=payload), file)


CODE = [Payload.save, Payload.dump, appended_to_code, inside_a_good_latent, inside_a_good_conditioning]


@each_field
@pytest.mark.parametrize("written", CODE, ids=lambda written: written.__name__)
def test_code_is_not_run(
    stages: Stages,
    refused: Refused,
    tmp_path: Path,
    stage: str,
    field: str,
    written: Callable[[Payload, Path], None],
) -> None:
    payload = Payload(tmp_path / "mark")
    file = tmp_path / "code.pt"
    written(payload, file)
    payload.check_that_it_would_run(file)
    refused(getattr(stages, stage), "INPUT_TENSOR_INVALID", str(file), **{field: str(file)})
    assert not payload.mark.exists()


@pytest.mark.filterwarnings("ignore:'torch.load' received a zip file that looks like a TorchScript:UserWarning")
def test_torchscript_is_not_run(stages: Stages, refused: Refused, tmp_path: Path) -> None:
    """torch.load warns of it before it refuses it; whether the warning is an error must not matter."""
    file = tmp_path / "script.pt"
    torch.save(zeros(), file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("script/constants.pkl", b"")
    failure = refused(stages.decoding, "INPUT_TENSOR_INVALID", str(file), latent_path=str(file))
    assert "weights_only" not in failure.error_message


NO_LATENT: dict[str, Any] = {
    "a conditioning": text(reference_latents=[zeros()]),
    "the tensor of a conditioning": text()[0][0],
    "samples without a tensor": {"samples": None},
    "a list of samples": {"samples": [zeros()]},
    "no dimensions": torch.tensor(1.0),
    "three dimensions": zeros(16, 8, 8),
    "six dimensions": zeros(1, 16, 1, 1, 8, 8),
    "two pictures": zeros(2, 16, 1, 8, 8),
    "two pictures in four dimensions": zeros(2, 16, 8, 8),
    "two frames": zeros(1, 16, 2, 8, 8),
    "empty": zeros(0),
    "no height": zeros(1, 16, 1, 0, 8),
    "no pictures": zeros(0, 16, 1, 8, 8),
    "more than 16 megapixels": zeros(1, 1, 1, 2048, 256),
    "NaN": zeros().index_fill(4, torch.tensor(3), float("nan")),
    "infinite": zeros().index_fill(4, torch.tensor(3), float("inf")),
    "minus infinite": zeros().index_fill(4, torch.tensor(3), -float("inf")),
    "whole numbers": zeros().long(),
    "bytes": zeros().byte(),
    "booleans": zeros().bool(),
    "complex numbers": zeros().to(torch.complex64),
    "numbers of 8 bits": zeros().to(torch.float8_e4m3fn),
    "sparse": zeros().to_sparse(),
    "without contents": torch.zeros(1, 16, 1, 8, 8, device="meta"),
    "one number for all": torch.zeros(1).expand(1, 16, 1, 3000, 3000),
    "one number for all of a small one": torch.zeros(1).expand(1, 16, 1, 8, 8),
    "one row for all": torch.zeros(8).expand(1, 16, 1, 3000, 8),
}


@each_latent
@pytest.mark.parametrize("case", NO_LATENT)
def test_no_latent(stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, case: str) -> None:
    file = in_file(tmp_path, NO_LATENT[case])
    refused(getattr(stages, stage), "INPUT_TENSOR_INVALID", file, **{field: file})


@each_conditioning
@pytest.mark.parametrize("case", [case for case in NO_LATENT if "conditioning" not in case])
def test_no_reference_latent(
    stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, case: str
) -> None:
    value = NO_LATENT[case]
    file = in_file(tmp_path, text(reference_latents=[zeros(), value]))
    refused(getattr(stages, stage), "INPUT_TENSOR_INVALID", f"reference latent 2 in {file}", **{field: file})


def test_saved_expanded_tensor_is_tiny(tmp_path: Path) -> None:
    """Else it would prove nothing that it is refused."""
    file = Path(in_file(tmp_path, NO_LATENT["one number for all"]))
    assert file.stat().st_size < 2000
    assert torch.load(file, weights_only=True).numel() == 16 * 3000 * 3000


NO_CONDITIONING: dict[str, Any] = {
    "a latent": {"samples": zeros()},
    "the tensor of a latent": zeros(),
    "two dimensions": zeros(6, 256),
    "empty": zeros(1, 0, 256),
    "a tensor without metadata": [[zeros(1, 6, 256)]],
    "three in a pair": [[zeros(1, 6, 256), {}, {}]],
    "metadata that is no dict": [[zeros(1, 6, 256), ["reference_latents"]]],
    "metadata before the tensor": [[{}, zeros(1, 6, 256)]],
    "an empty pair": [[]],
    "one good pair, one bad": [*text(), ["text", {}]],
    "whole numbers": [[zeros(1, 6, 256).long(), {}]],
    "NaN": [[zeros(1, 6, 256) * float("nan"), {}]],
    "infinite": [[zeros(1, 6, 256) + float("inf"), {}]],
    "one number for all": [[torch.zeros(1).expand(1, 10**9, 256), {}]],
    "reference_latents that are one tensor": text(reference_latents=zeros()),
    "reference_latents that are a dict": text(reference_latents={"samples": zeros()}),
    "reference_latents that are null": text(reference_latents=None),
    "reference_latents that are texts": text(reference_latents=["latent"]),
    "one reference latent ten thousand times": text(reference_latents=[zeros()] * 10_000),
}


@each_conditioning
@pytest.mark.parametrize("case", NO_CONDITIONING)
def test_no_conditioning(stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, case: str) -> None:
    file = in_file(tmp_path, NO_CONDITIONING[case])
    refused(getattr(stages, stage), "INPUT_TENSOR_INVALID", file, **{field: file})


@each_latent
@pytest.mark.parametrize("shape", [(1, 8, 1, 8, 8), (1, 8, 8, 8), (1, 17, 1, 8, 8)])
def test_latent_of_another_model(
    stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, shape: tuple[int, ...]
) -> None:
    file = in_file(tmp_path, zeros(*shape))
    culprit = file if stage == "decoding" else field
    refused(getattr(stages, stage), "INPUT_TENSOR_MISMATCH", culprit, f"{shape[1]} channels", "16", **{field: file})


@each_conditioning
def test_text_of_another_model(stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str) -> None:
    file = in_file(tmp_path, text(width=128))
    refused(getattr(stages, stage), "INPUT_TENSOR_MISMATCH", field, "128", "256", **{field: file})


@each_conditioning
def test_reference_latent_of_another_model(
    stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str
) -> None:
    file = in_file(tmp_path, text(reference_latents=[zeros(), zeros(1, 8, 1, 8, 8)]))
    culprits = (f"reference latent 2 in {field}", "8 channels", "16")
    refused(getattr(stages, stage), "INPUT_TENSOR_MISMATCH", *culprits, **{field: file})


# 3848 x 4360 is what a picture of these proportions is scaled to at 16 megapixels: a little more than 16 * 1024 * 1024.
@each_latent
@pytest.mark.parametrize("size", [(512, 512), (545, 481), (1, 10_000)])
def test_up_to_16_megapixels_only_the_channels_matter(
    stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, size: tuple[int, int]
) -> None:
    """They have too few channels only lest the test take a minute."""
    file = in_file(tmp_path, zeros(1, 1, 1, *size))
    refused(getattr(stages, stage), "INPUT_TENSOR_MISMATCH", "1 channel", **{field: file})


ODD_LATENTS: dict[str, Any] = {
    "half precision": zeros().half(),
    "bfloat16": zeros().bfloat16(),
    "double precision": zeros().double(),
    "four dimensions": zeros(1, 16, 8, 8),
    "a dict": {"samples": zeros()},
    "a parameter": torch.nn.Parameter(zeros()),
    "transposed": torch.randn(1, 8, 1, 8, 16).transpose(1, 4),
    "a slice": torch.randn(3, 16, 1, 8, 8)[1:2],
    "odd sizes": zeros(1, 16, 1, 7, 9),
    "the smallest": zeros(1, 16, 1, 1, 1),
}


@each_latent
@pytest.mark.parametrize("case", ODD_LATENTS)
def test_odd_but_fine(stages: Stages, answered: Answered, tmp_path: Path, stage: str, field: str, case: str) -> None:
    answered(getattr(stages, stage), **{field: in_file(tmp_path, ODD_LATENTS[case])})


@each_conditioning
def test_encodings_of_different_lengths(
    stages: Stages, answered: Answered, tmp_path: Path, stage: str, field: str
) -> None:
    file = in_file(tmp_path, text(9, reference_latents=[zeros(1, 16, 1, 6, 10), zeros(1, 16, 8, 8)]))
    answered(getattr(stages, stage), cfg=2.5, **{field: file})


def loop() -> list[Any]:
    itself: list[Any] = []
    itself.append(itself)
    return itself


def nested(levels: int) -> Any:
    """Ten lists in each of ten lists and so on, of which the file holds one each."""
    value: Any = 0
    for _ in range(levels):
        value = [value] * 10
    return value


EXTRAS = {
    "a loop": loop(),
    "lists in lists": nested(5),
    "one number for many": torch.zeros(1).expand(200_000),
    "another key": {1: 2},
}


@each_latent
@pytest.mark.parametrize("case", EXTRAS)
def test_what_else_lies_in_a_latent_does_not_grow(
    stages: Stages, good: Good, tmp_path: Path, stage: str, field: str, case: str
) -> None:
    """It may be ignored or refused, but not be unfolded into the result: with a few levels more, that is for ever."""
    file = in_file(tmp_path, {"samples": zeros(), "more": EXTRAS[case]})
    request = {**good.request(stage), "output_dir": str(tmp_path / "out"), field: file}
    response = answer(getattr(stages, stage), request)
    if isinstance(response, Failure):
        assert response.error_code == "INPUT_TENSOR_INVALID"
        assert file in response.error_message
    else:
        assert max(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 50_000


def test_one_bad_tensor_does_not_stop_the_next(stages: Stages, refused: Refused, answered: Answered) -> None:
    refused(stages.sampling, "INPUT_TENSOR_NOT_FOUND", "gone.pt", latent_image="gone.pt")
    answered(stages.sampling)
