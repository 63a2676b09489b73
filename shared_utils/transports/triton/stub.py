"""Triton's own types, as far as our models deal in them. Its module triton_python_backend_utils is there only in the
processes that Triton starts for its models; nothing else of ours knows it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from shared_utils.contracts import Failure
from shared_utils.transports.triton.arrays import Array, Arrays
from shared_utils.transports.triton.statuses import message_of, status_of


def inputs_of(request: Any) -> dict[str, Array]:
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def response_of(answer: Arrays | Failure) -> Any:
    utils = import_module("triton_python_backend_utils")
    if isinstance(answer, Failure):
        status = getattr(utils.TritonError, status_of(answer))
        return utils.InferenceResponse(error=utils.TritonError(message_of(answer), status))
    return utils.InferenceResponse([utils.Tensor(name, array) for name, array in answer.items()])


def parameters_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The `parameters` of a model's configuration."""
    return {name: entry["string_value"] for name, entry in config.get("parameters", {}).items()}
