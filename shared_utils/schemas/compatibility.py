"""Whether two versions of a schema understand each other's messages, both ways.

Stricter than Avro, which promotes an int to a double and takes a timestamp for any long: here a type is what it is.
"""

from collections.abc import Iterator
from typing import Any

from shared_utils.schemas.avro import named_records


def problems(old: Any, new: Any) -> list[str]:
    """What keeps readers of either version from messages of the other, a sentence each."""
    if _kind(old) != _kind(new):
        return [f"{_kind(old)} is now called {_kind(new)}: keep the name."]
    before, after = named_records(old), named_records(new)
    return [problem for name in after if name in before for problem in _compare(before[name], after[name])]


def _compare(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    before, after = ({field["name"]: field for field in record["fields"]} for record in (old, new))
    for name, field in before.items():
        where = f"{_kind(new)}.{name}"
        if name not in after:
            if "default" not in field:
                yield f"{where} is gone, and older readers need it: keep it."
        elif _kind(field["type"]) != _kind(after[name]["type"]):
            was, now = _kind(field["type"]), _kind(after[name]["type"])
            yield f"{where} was {was} and is {now}: keep it, and add a field of another name."
    for name, field in after.items():
        if name not in before and "default" not in field:
            yield f"{_kind(new)}.{name} is new, and older messages lack it: give it a default in the contract."


def _kind(schema: Any) -> str:
    """A type in words; a record is its name."""
    match schema:
        case list():
            return " or ".join(_kind(branch) for branch in schema)
        case {"type": "record"}:
            return f"{schema['namespace']}.{schema['name']}"
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            return f"{schema['type']} of {_kind(inner)}"
        case dict():
            words = (schema.get(name) for name in ("logicalType", "type", "precision", "scale"))
            return " ".join(str(word) for word in words if word is not None)
    return str(schema)
