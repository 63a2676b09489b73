"""Bodies that are no request: each is refused in words that say what is wrong with it."""

import json
from typing import Any

import pytest

from sampling.models import SamplingRequest
from shared_utils.errors import InvalidRequestError
from shared_utils.transports.rest.errors import MediaTypeUnknownError
from shared_utils.transports.rest.fields import check_known, check_media_type, parsed

BAD = {
    "nothing": (b"", "no JSON: Expecting value, line 1"),
    "text": (b"hello", "no JSON"),
    "cut off": (b'{"steps": ', "no JSON"),
    "two": (b"{} {}", "no JSON: Extra data"),
    "a comma too many": (b'{"steps": 1,}', "no JSON"),
    "a comment": (b"{} // one", "no JSON"),
    "a control character": (b'{"a": "\n"}', "no JSON"),
    "no UTF-8": (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8 at byte 0"),
    "a mark of the byte order": (b"\xef\xbb\xbf{}", "no JSON"),
    "a pickle": (b"\x80\x04K\x01.", "not UTF-8"),
    "a list": (b"[]", "no JSON object"),
    "null": (b"null", "no JSON object"),
    "a number": (b"1", "no JSON object"),
    "NaN": (b'{"cfg": NaN}', "NaN is no number"),
    "Infinity": (b'{"cfg": Infinity}', "Infinity is no number"),
    "-Infinity": (b'{"cfg": -Infinity}', "-Infinity is no number"),
    "one name twice": (b'{"seed": 1, "seed": 2}', "'seed' is given twice"),
    "one name twice further down": (b'{"a": [{"b": 1, "b": 1}]}', "'b' is given twice"),
    "a long name twice": (b'{"%s": 1, "%s": 2}' % (b"x" * 5000, b"x" * 5000), "xxx...' is given twice"),
    "an endless number": (b'{"seed": %s}' % (b"9" * 100_000), "thousands of digits"),
    "21 lists": (b'{"a": %s}' % (b"[" * 21 + b"]" * 21), "nested deeper"),
    "500 lists": (b'{"a": %s}' % (b"[" * 500 + b"]" * 500), "nested deeper"),
    "100,000 lists": (b'{"a": %s}' % (b"[" * 100_000 + b"]" * 100_000), "nested deeper"),
    "100,000 objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"),
    "100,000 lists that never end": (b"[" * 100_000, "nested deeper"),
}


@pytest.mark.parametrize("case", BAD)
def test_no_fields(case: str) -> None:
    body, reason = BAD[case]
    with pytest.raises(InvalidRequestError) as refused:
        parsed(body)
    assert reason in refused.value.message
    assert len(refused.value.message) < 200
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    "fields",
    [{}, {"seed": 2**64 - 1, "cfg": 1.5, "text": 'ü "[[[[[" \\ '}, {"a": [[[{"b": None}]]], "": True}],
    ids=str,
)
def test_fields(fields: dict[str, Any]) -> None:
    assert parsed(json.dumps(fields).encode()) == fields
    assert parsed(json.dumps(fields, ensure_ascii=False).encode()) == fields


@pytest.mark.parametrize("given", [None, "", "text/plain", "multipart/form-data; boundary=x", "application/jsonx"])
def test_other_media_types(given: str | None) -> None:
    """Those that a page of another site may have a browser send among them."""
    with pytest.raises(MediaTypeUnknownError, match="Send application/json"):
        check_media_type(given)


@pytest.mark.parametrize("given", ["application/json", "Application/JSON; charset=utf-8"])
def test_media_type(given: str) -> None:
    check_media_type(given)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("step", "steps"), ("Seed", "seed"), ("positive_encodings", "positive_encoding"), ("samplerName", "sampler_name")],
)
def test_unknown_field_with_a_near_one(name: str, nearest: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_known(SamplingRequest, {"seed": 1, name: 1})
    assert refused.value.message == f"'{name}' is no field of this request. Did you mean {nearest}?"


def test_unknown_field_that_is_like_none() -> None:
    with pytest.raises(InvalidRequestError, match="'zzz' is no field") as refused:
        check_known(SamplingRequest, {"zzz": 1})
    assert all(field in refused.value.message for field in SamplingRequest.model_fields)


def test_a_hundred_thousand_unknown_fields() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_known(SamplingRequest, {f"steps{number}" * 100: 1 for number in range(100_000)})
    assert len(refused.value.message) < 1000


def test_known_fields() -> None:
    check_known(SamplingRequest, dict.fromkeys(SamplingRequest.model_fields))
