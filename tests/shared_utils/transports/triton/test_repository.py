"""The model repository: the same models for callers in either layout, and each tensor of an ensemble from somewhere."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orchestrator.models import TryOnRequest
from orchestrator.steps import STEPS
from shared_utils.transports.triton.config import Queue
from shared_utils.transports.triton.pipeline import OF_THE_LAST, PICTURES, PLACES
from shared_utils.transports.triton.repository import BuildOptions, Share, build
from shared_utils.transports.triton.tensors import FILES, WAIT_FOR
from tests.conftest import STAGES
from tests.shared_utils.transports.triton.configs import CONTRACTS, kinds, read

TOGETHER = BuildOptions()
APART = BuildOptions(layout="apart")
LAYOUTS = pytest.mark.parametrize("options", [TOGETHER, APART], ids=lambda options: options.layout)
CODE = Path("1/model.py")


def configs(options: BuildOptions) -> dict[str, Any]:
    files = build(CONTRACTS, options)
    return {file.parts[0]: read(text) for file, text in files.items() if file.name == "config.pbtxt"}


@LAYOUTS
def test_the_models_that_callers_know(options: BuildOptions) -> None:
    found = configs(options)
    assert found.keys() == {*PLACES, "vtryon_pipeline", "vtryon_news"} | (
        {"vtryon_stages"} if options.layout == "together" else set()
    )
    assert all(config.name == name for name, config in found.items())
    for contract in CONTRACTS:
        config = found[contract.name]
        assert kinds(config.input) == {each.name: (each.datatype, each.dims) for each in contract.inputs()}
        assert kinds(config.output) == {each.name: (each.datatype, each.dims) for each in contract.outputs()}
        assert all(tensor.optional for tensor in config.input)


@LAYOUTS
def test_each_model_has_the_folder_of_its_version(options: BuildOptions) -> None:
    files = build(CONTRACTS, options)
    for name, config in configs(options).items():
        held = {file.relative_to(name) for file in files if file.parts[0] == name}
        assert held == {Path("config.pbtxt"), CODE if config.backend == "python" else Path("1/.gitkeep")}


@LAYOUTS
def test_the_code_can_be_compiled(options: BuildOptions) -> None:
    sources = {file.parts[0]: text for file, text in build(CONTRACTS, options).items() if file.match("1/model.py")}
    for name, source in sources.items():
        compile(source, name, "exec")
        assert ("news_backend" in source) == (name == "vtryon_news")


@LAYOUTS
def test_an_ensemble_fits_its_models(options: BuildOptions) -> None:
    """Every name on either side exists, with one type."""
    found = configs(options)
    for config in (each for each in found.values() if each.platform == "ensemble"):
        known = kinds(config.input)
        for step in config.ensemble_scheduling.step:
            inputs, outputs = kinds(found[step.model_name].input), kinds(found[step.model_name].output)
            assert {name: inputs[key] for key, name in step.input_map.items()}.items() <= known.items()
            known |= {name: outputs[key] for key, name in step.output_map.items()}
        assert kinds(config.output).items() <= known.items()
        used = {name for step in config.ensemble_scheduling.step for name in step.input_map.values()}
        assert used >= kinds(config.input).keys()


def test_together_one_model_hosts_all() -> None:
    found = configs(TOGETHER)
    host = found["vtryon_stages"]
    assert host.parameters["stages"].string_value == "latent_encoder,text_encoder,sampling,decoding"
    assert all(found[name].platform == "ensemble" for name in PLACES)
    assert {step.model_name for step in found["vtryon_pipeline"].ensemble_scheduling.step} == {"vtryon_stages"}


def test_apart_each_is_its_own() -> None:
    found = configs(APART)
    for name in PLACES:
        assert (found[name].backend, found[name].parameters["stages"].string_value) == ("python", name)
    assert [step.model_name for step in found["vtryon_pipeline"].ensemble_scheduling.step] == list(PLACES)


def test_what_the_options_say() -> None:
    options = BuildOptions(
        layout="apart",
        share=Share(memory_gb=12.5),
        shares={"sampling": Share(instances=2, gpus=(0, 1), memory_gb=40)},
        queue=Queue(most=8),
        one_at_a_time=True,
        warm_up=False,
    )
    found = configs(options)
    for name in PLACES:
        parameters, (group,) = found[name].parameters, found[name].instance_group
        assert parameters["warm_up"].string_value == "false"
        assert parameters["model_memory_gb"].string_value == ("40" if name == "sampling" else "12.5")
        assert (group.count, list(group.gpus)) == ((2, [0, 1]) if name == "sampling" else (1, []))
        assert len(group.rate_limiter.resources) == 1
        assert found[name].dynamic_batching.default_queue_policy.max_queue_size == 8
    news = found["vtryon_news"]
    assert not news.HasField("dynamic_batching")
    assert not news.instance_group[0].HasField("rate_limiter")


def test_what_is_not_given_is_left_to_the_environment() -> None:
    parameters = configs(TOGETHER)["vtryon_stages"].parameters
    assert parameters["warm_up"].string_value == "true"
    assert "model_memory_gb" not in parameters


# ---- the pipeline


def test_the_pipeline_takes_what_a_tryon_is_asked_with() -> None:
    inputs = kinds(configs(TOGETHER)["vtryon_pipeline"].input)
    assert inputs.keys() == TryOnRequest.model_fields.keys() - {"callback_url"} | PICTURES.keys() | {
        "encode_negative",
        "encode_content",
        "quality",
    }


def test_the_pipeline_goes_the_way_of_the_workflow() -> None:
    assert PLACES.keys() == STEPS.keys()
    stages = {stage.name: stage for stage in STAGES}
    for name, place in PLACES.items():
        read_by = {
            each for each, _ in (FILES.get(field, ("", None)) for field in stages[name].request_type.model_fields)
        }
        assert set(place.reads) - {WAIT_FOR.name} == read_by - {""}
        needed = {each for need in STEPS[name].needs for each in PLACES[need].gives}
        assert {place.reads[each] for each in read_by - {""}} - PICTURES.keys() <= needed


@LAYOUTS
def test_no_two_steps_of_the_pipeline_can_fail_at_once(options: BuildOptions) -> None:
    """Each but the first reads what the one before it has made."""
    steps = configs(options)["vtryon_pipeline"].ensemble_scheduling.step
    for before, step in pairwise(steps):
        assert set(before.output_map.values()) & set(step.input_map.values())


def test_only_the_last_step_knows_where_the_picture_goes() -> None:
    *others, last = configs(TOGETHER)["vtryon_pipeline"].ensemble_scheduling.step
    assert last.input_map.keys() >= set(OF_THE_LAST)
    assert not any(step.input_map.keys() & set(OF_THE_LAST) for step in others)
    assert all("request_id" in step.input_map for step in (*others, last))
