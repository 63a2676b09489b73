"""Messages of any contract, for Hypothesis: what its JSON Schema allows."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import generate_schemas
from hypothesis import strategies as st
from pydantic import BaseModel

CONTRACTS = sorted(
    {c for contracts in generate_schemas.CONTRACTS.values() for c in contracts}, key=lambda c: c.__name__
)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
# Names of models must be those of files, which JSON Schema can't say.
NAMES = st.sampled_from(["model.safetensors", "folder/model.safetensors", "modèle.safetensors"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@cache
def messages(contract: type[BaseModel]) -> st.SearchStrategy[BaseModel]:
    schema = contract.model_json_schema()
    return _values(schema, schema.get("$defs", {})).map(contract.model_validate)


def _values(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _values(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return st.one_of([_values(branch, definitions) for branch in schema["anyOf"]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    return KINDS[schema["type"]](schema, definitions)


def _objects(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        of = schema["additionalProperties"]
        values = ANYTHING if of is True else _values(of, definitions)
        return st.dictionaries(st.text(max_size=5), values, max_size=2)
    fields = {
        name: NAMES if name.endswith("_model_name") else _values(field, definitions)
        for name, field in schema["properties"].items()
    }
    required = set(schema.get("required", ()))
    optional = {name: field for name, field in fields.items() if name not in required}
    return st.fixed_dictionaries({name: fields[name] for name in required}, optional=optional)


def _strings(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    if schema.get("format") == "date-time":
        return MOMENTS.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
    if "pattern" in schema:
        # Python's $ lets a last line break pass.
        return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda text: not text.endswith("\n"))
    return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)


KINDS: dict[str, Callable[[dict[str, Any], dict[str, Any]], st.SearchStrategy[Any]]] = {
    "null": lambda schema, definitions: st.none(),
    "boolean": lambda schema, definitions: st.booleans(),
    "integer": lambda schema, definitions: st.integers(
        schema.get("minimum", -(2**63)), schema.get("maximum", schema.get("exclusiveMaximum", 2**63) - 1)
    ),
    "number": lambda schema, definitions: st.floats(
        schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False
    ),
    "array": lambda schema, definitions: st.lists(_values(schema["items"], definitions), max_size=3),
    "object": _objects,
    "string": _strings,
}
