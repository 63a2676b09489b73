"""A stage that is counted and timed, whichever way it is reached."""

import time
from typing import Any

from shared_utils.contracts import Success
from shared_utils.errors import InternalError, VtryonError
from shared_utils.stage import Stage
from shared_utils.telemetry.metrics import SUCCESS, StageMetrics
from shared_utils.telemetry.nodes import nodes_ran
from shared_utils.telemetry.reuse import looked_for

MAIN_MODELS = ("unet_model_name", "clip_model_name", "vae_model_name")
"""The fields that name a model; the first that a request has names the one that its time is spent in."""
NO_MODEL = "none"


class Measured:
    """It looks at the models after each job, and waits for no other stage's node to do so."""

    def __init__(self, stage: Stage, metrics: StageMetrics) -> None:
        self.name = stage.name
        self.verb = stage.verb
        self.request_type = stage.request_type
        self.response_type = stage.response_type
        self.options = stage.options
        self.models = stage.models
        self._stage = stage
        self._metrics = metrics
        metrics.serves(stage.name)

    def warm_up(self) -> None:
        with nodes_ran.to(self._ran):
            self._stage.warm_up()
        self._look()

    def run(self, request: Any) -> Success:
        outcome, began = InternalError.code, time.perf_counter()
        try:
            with nodes_ran.to(self._ran), looked_for.to(self._looked_for):
                response = self._stage.run(request)
            outcome = SUCCESS
        except VtryonError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.attempted(self.name, outcome)
            self._look()
        # Only of those that succeeded: their models are files that there are.
        self._metrics.worked(self.name, _model(request), time.perf_counter() - began)
        return response

    def _ran(self, node: str, seconds: float) -> None:
        self._metrics.ran(self.name, node, seconds)

    def _looked_for(self, work: str, found: bool) -> None:
        self._metrics.looked_for(self.name, work, found)

    def _look(self) -> None:
        self._metrics.hold((each.kind, each.size) for each in self.models.glance())


def _model(request: Any) -> str:
    return next((str(name) for field in MAIN_MODELS if (name := getattr(request, field, None))), NO_MODEL)
