"""A try-on's request, made complete."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import Config
from orchestrator.intake import taken_in
from shared_utils.errors import InvalidRequestError

PICTURES = {"person_image_path": "person.png", "garment_image_path": "garment.png"}


def taken(fields: dict[str, Any], headers: dict[str, str] | None = None, **settings: Any) -> Any:
    return taken_in(PICTURES | fields, headers or {}, Config(**settings))


def test_what_is_left_out_is_settled_once() -> None:
    request = taken({"request_id": "r"})
    assert request.correlation_id == "r"
    assert 0 <= request.seed < 2**64
    assert request.output_filename == "tryon_r.png"
    assert request.output_dir == str(Path("output").absolute())
    assert taken({"request_id": "r"}).seed != request.seed


def test_what_is_given_stays() -> None:
    given = {"seed": 0, "output_filename": "mine.webp", "output_dir": "/there", "correlation_id": "c"}
    request = taken(given)
    assert {name: getattr(request, name) for name in given} == given


def test_where_the_name_comes_from() -> None:
    assert taken({"correlation_id": "c", "request_id": "r"}, {"correlation_id": "h"}).correlation_id == "c"
    assert taken({"request_id": "r"}, {"correlation_id": "h"}).correlation_id == "h"
    assert taken({"correlation_id": None}, {"correlation_id": "h"}).correlation_id == "h"


def test_the_format_names_the_file() -> None:
    assert taken({"correlation_id": "c", "output_format": "jpg"}).output_filename == "tryon_c.jpg"


def test_settings_fill_in_and_null_is_as_good_as_nothing() -> None:
    assert taken({"steps": None}, steps=9, cfg=2.0).steps == 9
    assert taken({"steps": 5}, steps=9).steps == 5


@pytest.mark.parametrize("name", ["../up", "a/b", "", " ", "ä", "x" * 129, "a\n", "\ud800"])
def test_a_name_that_is_no_name(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="correlation_id"):
        taken({"correlation_id": name or "\t"})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidRequestError, match=r"person_image_path is missing\. garment_image_path is missing\."):
        taken_in({}, {}, Config())
