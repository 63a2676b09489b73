"""docs/API_MULTI_PROTOCOL.md, its commands and its programs, run as they are printed."""

import pytest

from tests.conftest import ROOT
from tests.printed.blocks import on_fast_models, script
from tests.printed.conftest import Run

pytestmark = pytest.mark.kafka


def test_as_printed(run: Run) -> None:
    document = (ROOT / "docs" / "API_MULTI_PROTOCOL.md").read_text("utf-8")
    printed = run(script(on_fast_models(document), with_python=True))
    assert printed.count("is the same") == 5, printed
    assert printed.count("identical, bit for bit") == 3, printed
