"""The body of a request, read strictly: JSON, one object, no field twice and none that is unknown."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from shared_utils.errors import InvalidRequestError
from shared_utils.transports.rest.errors import MediaTypeUnknownError

MEDIA_TYPE = "application/json"
MOST_DEEP = 20
"""Lists and objects in each other. No field of a request holds any."""
MOST_NAMED = 5
"""Of unknown fields, in a message."""
LONGEST_NAME = 80


def check_media_type(given: str | None) -> None:
    """Not a formality: a page of another site can have a browser send any other type without asking."""
    kind = (given or "").partition(";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        raise MediaTypeUnknownError(f"The body is {_shown(kind) if kind else 'of no type'}. Send {MEDIA_TYPE}.")


def parsed(body: bytes) -> dict[str, Any]:
    """The fields that the body holds."""
    try:
        fields = json.loads(body.decode(), object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError as wrong:
        raise InvalidRequestError(f"The body is no JSON: it is not UTF-8 at byte {wrong.start}.") from None
    except json.JSONDecodeError as wrong:
        raise InvalidRequestError(
            f"The body is no JSON: {wrong.msg}, line {wrong.lineno}, column {wrong.colno}."
        ) from None
    except ValueError:  # Python's own bound on the digits of a number
        raise InvalidRequestError("The body holds a number with thousands of digits.") from None
    if not isinstance(fields, dict):
        raise InvalidRequestError("The body is no JSON object: it must be {...}, with the request's fields.")
    _check_depth(fields.values())
    return fields


def check_known(request_type: type[BaseModel], fields: Mapping[str, Any]) -> None:
    """Whoever gives a field that does not exist believes in an effect that it does not have."""
    known = list(request_type.model_fields)
    unknown = [name for name in fields if name not in known][:MOST_NAMED]
    if not unknown:
        return
    nearest = {name: get_close_matches(name[:LONGEST_NAME].lower(), known, n=1) for name in unknown}
    sentences = [f"{_shown(name)} is no field of this request." for name in unknown]
    sentences += [f"Did you mean {near[0]}?" for near in nearest.values() if near]
    sentences += [] if all(nearest.values()) else [f"There are {', '.join(known)}."]
    raise InvalidRequestError(" ".join(sentences))


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}...")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise InvalidRequestError(f"{_shown(name)} is given twice.")
        fields[name] = value
    return fields


def _no_constant(name: str) -> None:
    raise InvalidRequestError(f"The body is no JSON: {name} is no number there.")


def _check_depth(values: Iterable[Any]) -> None:
    level = list(values)
    for _ in range(MOST_DEEP):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> InvalidRequestError:
    return InvalidRequestError(f"The body is nested deeper than {MOST_DEEP} levels.")
