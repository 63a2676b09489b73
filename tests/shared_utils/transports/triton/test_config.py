"""config.pbtxt: what stands in it is what was meant, for the server and for a reader."""

from shared_utils.transports.triton.config import (
    WRITTEN,
    Instances,
    Model,
    Queue,
    Step,
    ensemble,
    onnx_model,
    python_model,
)
from shared_utils.transports.triton.tensors import Tensor
from tests.shared_utils.transports.triton.configs import kinds, read

INPUTS = [
    Tensor("prompt", "TYPE_STRING", (1,), optional=True, description='Says "what" to do; C:\\ and ü too.'),
    Tensor("latent", "TYPE_FP32", (1, -1, 1, -1, -1), description="The latent."),
]
OUTPUTS = [Tensor("image", "TYPE_UINT8", (-1,), description="The picture.")]
MODEL = Model("drawing", "Draws.", INPUTS, OUTPUTS, {"warm_up": "true"})


def test_a_python_model() -> None:
    config = read(python_model(MODEL, Instances(), Queue()))
    assert (config.name, config.backend, config.max_batch_size) == ("drawing", "python", 0)
    assert kinds(config.input) == {"prompt": ("TYPE_STRING", (1,)), "latent": ("TYPE_FP32", (1, -1, 1, -1, -1))}
    assert [each.optional for each in config.input] == [True, False]
    assert kinds(config.output) == {"image": ("TYPE_UINT8", (-1,))}
    assert not config.HasField("dynamic_batching")


def test_descriptions_are_comments_and_parameters() -> None:
    text = python_model(MODEL, Instances(), Queue())
    assert text.startswith(f"{WRITTEN}\n# Draws.\n")
    assert f"  # {INPUTS[0].description}\n" in text
    parameters = {name: value.string_value for name, value in read(text).parameters.items()}
    assert parameters == {
        "warm_up": "true",
        "input.prompt": INPUTS[0].description,
        "input.latent": "The latent.",
        "output.image": "The picture.",
    }


def group_of(instances: Instances) -> object:
    (group,) = read(python_model(MODEL, instances, Queue())).instance_group
    return group


def test_without_gpus_the_model_chooses_its_device() -> None:
    text = str(group_of(Instances(count=2)))
    assert "kind: KIND_MODEL" in text
    assert "count: 2" in text
    assert "rate_limiter" not in text


def test_gpus() -> None:
    text = str(group_of(Instances(gpus=(0, 3))))
    assert "kind: KIND_GPU" in text
    assert "gpus: 0\ngpus: 3\n" in text


def test_one_at_a_time_is_for_each_gpu_or_for_all_that_is_not_known() -> None:
    known = read(python_model(MODEL, Instances(gpus=(0, 1), one_at_a_time=True), Queue())).instance_group[0]
    unknown = read(python_model(MODEL, Instances(one_at_a_time=True), Queue())).instance_group[0]
    for group, is_global in ((known, False), (unknown, True)):
        (resource,) = group.rate_limiter.resources
        assert (resource.count, getattr(resource, "global")) == (1, is_global)


def test_a_queue_that_refuses() -> None:
    policy = read(python_model(MODEL, Instances(), Queue(most=8, seconds=1.5))).dynamic_batching.default_queue_policy
    assert (policy.max_queue_size, policy.default_timeout_microseconds) == (8, 1_500_000)
    only_time = read(python_model(MODEL, Instances(), Queue(seconds=30))).dynamic_batching.default_queue_policy
    assert (only_time.max_queue_size, only_time.default_timeout_microseconds) == (0, 30_000_000)


def test_an_ensemble() -> None:
    steps = [
        Step("first", {"a": "prompt"}, {"b": "between"}),
        Step("second", {"c": "between"}, {"d": "image"}),
    ]
    config = read(ensemble(MODEL, steps))
    assert (config.platform, config.backend, len(config.instance_group)) == ("ensemble", "", 0)
    assert [(each.model_name, each.model_version) for each in config.ensemble_scheduling.step] == [
        ("first", -1),
        ("second", -1),
    ]
    assert dict(config.ensemble_scheduling.step[1].input_map) == {"c": "between"}
    assert dict(config.ensemble_scheduling.step[1].output_map) == {"d": "image"}


def test_an_onnx_model() -> None:
    config = read(onnx_model(MODEL))
    assert (config.platform, len(config.instance_group), len(config.parameters)) == ("onnxruntime_onnx", 0, 0)
    assert kinds(config.output) == {"image": ("TYPE_UINT8", (-1,))}
