"""How long nodes ran is read from a worker's own metrics, and added up as a try-on waits for it."""

from pathlib import Path

import pytest
from node_seconds import gpu_mb, in_a_row, metrics_port, seconds_of, since

from shared_utils.settings import Settings
from shared_utils.telemetry.endpoint import reachable
from shared_utils.telemetry.health import Health
from shared_utils.telemetry.metrics import StageMetrics


def test_what_a_worker_exposes_is_understood(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stages = StageMetrics("worker", lambda: True)
    stages.ran("sampling", "KSampler", 2.0)
    stages.ran("sampling", "KSampler", 0.5)
    stages.ran("decoding", "VAEDecode", 0.25)
    log = tmp_path / "worker.log"
    with caplog.at_level("INFO", "vtryon"), reachable(Settings(health_port=0), Health(), stages.text):
        log.write_text("\n".join(record.getMessage() for record in caplog.records))
        port = metrics_port(log)
        before = seconds_of([port])
        assert before == {("sampling", "KSampler"): 2.5, ("decoding", "VAEDecode"): 0.25}
        stages.ran("sampling", "KSampler", 4.0)
        assert since(before, seconds_of([port])) == {("sampling", "KSampler"): 4.0, ("decoding", "VAEDecode"): 0.0}
        assert gpu_mb(port) is None


def test_a_log_without_a_port(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("something else")
    with pytest.raises(RuntimeError, match="does not say"):
        metrics_port(tmp_path / "log")


def test_what_ran_side_by_side_counts_once() -> None:
    nodes = {("latent_encoder", "LoadImage"): 0.5, ("latent_encoder", "VAEEncode"): 1.0}
    nodes |= {("text_encoder", "LoadImage"): 0.25, ("text_encoder", "TextEncodeQwenImageEditPlus"): 3.0}
    nodes |= {("sampling", "KSampler"): 5.0, ("decoding", "VAEDecode"): 2.0}
    assert in_a_row(nodes, apart=True) == 3.25 + 7.0
    assert in_a_row(nodes, apart=False) is None
    found = {("latent_encoder", "LoadImage"): 0.0, ("latent_encoder", "VAEEncode"): 0.0}
    assert in_a_row(nodes | found, apart=False) == 3.25 + 7.0
