"""`vtryon triton build`: what lies in the folder afterwards, and what a person sees."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from orchestrator.cli import triton
from orchestrator.cli.main import main
from shared_utils.transports.triton.repository import FOLDER, BuildOptions, build
from tests.conftest import ROOT
from tests.shared_utils.transports.triton.configs import CONTRACTS, read


def built(*flags: str) -> int:
    return main(["triton", "build", *flags])


def files(folder: Path) -> dict[Path, str]:
    return {file.relative_to(folder): file.read_text() for file in folder.rglob("*") if file.is_file()}


def config(model: str) -> str:
    return Path(FOLDER, model, "config.pbtxt").read_text()


def test_the_repository_of_the_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    assert built() == 0
    assert files(Path(FOLDER)) == build(CONTRACTS, BuildOptions()) == files(ROOT / FOLDER)
    shown = capsys.readouterr().out
    assert "Wrote decoding, latent_encoder, sampling, text_encoder, vtryon_news, vtryon_pipeline" in shown
    assert f"tritonserver --model-repository={FOLDER}\n" in shown


def test_an_earlier_build_is_replaced() -> None:
    """A model that is left over would be served, and asked."""
    assert built("--output", "served") == 0
    cache = Path("served/vtryon_stages/1/__pycache__")
    cache.mkdir()
    (cache / "model.cpython-311.pyc").touch()
    assert built("--output", "served", "--layout", "apart") == 0
    assert files(Path("served")) == build(CONTRACTS, BuildOptions(layout="apart"))
    assert not Path("served/vtryon_stages").exists()
    assert built("--output", "served") == 0
    assert files(Path("served")) == build(CONTRACTS, BuildOptions())


def test_models_of_others_stay() -> None:
    theirs = Path(FOLDER, "resnet/config.pbtxt")
    theirs.parent.mkdir(parents=True)
    theirs.write_text('name: "resnet"')
    assert built() == built("--layout", "apart") == 0
    assert theirs.read_text() == 'name: "resnet"'


def test_what_is_not_ours_is_not_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    theirs = Path(FOLDER, "sampling/config.pbtxt")
    theirs.parent.mkdir(parents=True)
    theirs.write_text('name: "sampling"')
    assert built() == 1
    assert f"{FOLDER}/sampling/config.pbtxt is not vtryon's" in capsys.readouterr().err
    assert files(Path(FOLDER)) == {Path("sampling/config.pbtxt"): 'name: "sampling"'}


def test_a_model_that_holds_more_is_not_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert built() == 0
    before = files(Path(FOLDER))
    notes = Path(FOLDER, "vtryon_stages/notes.txt")
    notes.write_text("keep")
    assert built("--layout", "apart") == 1
    assert f"move {notes} away" in capsys.readouterr().err
    assert files(Path(FOLDER)) == {**before, Path("vtryon_stages/notes.txt"): "keep"}


def test_a_folder_that_can_not_be(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert built("--output", "file/triton") == 1
    assert "file/triton" in capsys.readouterr().err


def test_shares() -> None:
    shares = ["--gpus", "0,1", "--gpus", "sampling=2", "--instances", "sampling=3", "--memory-gb", "20.5"]
    assert built("--layout", "apart", *shares, "--no-warm-up") == 0
    sampling, decoding = read(config("sampling")), read(config("decoding"))
    assert [list(each.instance_group[0].gpus) for each in (sampling, decoding)] == [[2], [0, 1]]
    assert [each.instance_group[0].count for each in (sampling, decoding)] == [3, 1]
    for each in (sampling, decoding):
        assert each.parameters["model_memory_gb"].string_value == "20.5"
        assert each.parameters["warm_up"].string_value == "false"


def test_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert built("--max-queue", "16", "--queue-timeout", "90", "--one-at-a-time") == 0
    host = read(config("vtryon_stages"))
    policy = host.dynamic_batching.default_queue_policy
    assert (policy.max_queue_size, policy.default_timeout_microseconds) == (16, 90_000_000)
    assert len(host.instance_group[0].rate_limiter.resources) == 1
    assert f"--model-repository={FOLDER} --rate-limit=execution_count" in capsys.readouterr().out


def test_a_share_needs_a_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert built("--instances", "sampling=2") == 1
    assert "sampling can't have a share of its own" in capsys.readouterr().err
    assert not Path(FOLDER).exists()


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--gpus", "0,x", "is no list of GPUs"),
        ("--gpus", "", "is no list of GPUs"),
        ("--instances", "0", "is no whole number above 0"),
        ("--instances", "sampler=2", "no stage 'sampler': there are latent_encoder"),
        ("--memory-gb", "sampling=-1", "is no number above 0"),
        ("--memory-gb", "nan", "is no number above 0"),
        ("--max-queue", "1.5", "is no whole number above 0"),
        ("--queue-timeout", "0", "is no number above 0"),
    ],
)
def test_flags_that_can_not_be(flag: str, value: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        built(f"{flag}={value}")
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "missing"), [([], "vtryon"), ([EntryPoint("decoding", "no_such_package:It", "vtryon.stages")], "no_such")]
)
def test_without_the_stages(
    there: list[EntryPoint], missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(triton, "entry_points", lambda group: there)
    assert built() == 1
    said = capsys.readouterr().err
    assert missing in said
    assert "pip install 'vtryon[stages]'" in said


# ---- ONNX


@pytest.fixture
def exported() -> Path:
    folder = Path("exported")
    folder.mkdir()
    for name in ("vae_encoder", "vae_decoder"):
        (folder / f"{name}.onnx").write_text(f"the {name}")
    return folder


def test_the_vae_as_onnx(exported: Path) -> None:
    assert built("--onnx", str(exported)) == 0
    for name in ("vae_encoder", "vae_decoder"):
        assert read(config(name)).name == name
        assert Path(FOLDER, name, "1", "model.onnx").read_text() == f"the {name}"
    assert built() == 0
    assert files(Path(FOLDER)) == build(CONTRACTS, BuildOptions())


def test_the_vae_is_missing(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (exported / "vae_decoder.onnx").unlink()
    assert built("--onnx", str(exported)) == 1
    assert "vae_decoder.onnx" in capsys.readouterr().err
    assert not Path(FOLDER).exists()
