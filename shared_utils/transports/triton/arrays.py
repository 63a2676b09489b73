"""Plain values in and out of numpy's arrays, which is what Triton's Python backend deals in."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from pydantic import TypeAdapter, ValidationError

from shared_utils.contracts import Identifier
from shared_utils.errors import InvalidRequestError

Array: TypeAlias = np.ndarray[Any, Any]
Arrays: TypeAlias = Mapping[str, Array]
"""By the names of the tensors."""
_IDENTIFIER = TypeAdapter(Identifier)


def values_of(name: str, array: Array) -> list[Any]:
    """Text comes as bytes."""
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in array.reshape(-1).tolist()]
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{name} is not text in UTF-8.") from None


def value_of(inputs: Arrays, name: str, default: Any = None) -> Any:
    """The one value of an input that may be left out."""
    values = values_of(name, inputs[name]) if name in inputs else []
    return values[0] if values else default


def texts(lines: Sequence[str]) -> Array:
    return np.array([line.encode() for line in lines], dtype=np.object_)


def identifier(value: Any) -> str | None:
    """What can name a request and its files, or None."""
    try:
        return _IDENTIFIER.validate_python(value, strict=True)
    except ValidationError:
        return None
