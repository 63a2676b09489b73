"""Which stage a service serves: its own, or one whose work Triton does."""

import pytest

from decoding.service import Decoding
from shared_utils.comfy.loader import Models
from shared_utils.serve import make_stage
from shared_utils.transports.triton.stage import TritonStage


@pytest.mark.parametrize(("backend", "kind"), [(None, Decoding), ("local", Decoding), ("triton", TritonStage)])
def test_who_does_the_work(backend: str | None, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend is not None:
        monkeypatch.setenv("STAGE_BACKEND", backend)
    options = Decoding.options_type.read()
    stage = make_stage(Decoding, options, Models(options))
    assert type(stage) is kind
    assert (stage.name, stage.options) == ("decoding", options)
