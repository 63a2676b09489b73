"""A stage whose work Triton does: the same requests, responses, codes and progress as where it runs itself."""

import time
from pathlib import Path

from pydantic import ValidationError

from shared_utils.comfy.loader import Kind, Models
from shared_utils.comfy.progress import Step, tell
from shared_utils.contracts import Request, Success
from shared_utils.errors import first_line
from shared_utils.stage import Stage
from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.errors import TritonFailedError, TritonUnavailableError
from shared_utils.transports.triton.news import News, Told, call_id
from shared_utils.transports.triton.repository import HOST
from shared_utils.transports.triton.settings import TritonSettings
from shared_utils.transports.triton.tensors import FILES, field_tensors
from shared_utils.transports.triton.wire import Value, field_value

PATHS = {*FILES, "output_dir"}
"""The fields that name something on the storage."""
STILL_SECONDS = 2.0
"""After so long without news the last is told again, so that whoever watches can stop the job."""


class ModelsElsewhere(Models):
    """Those of a Triton, of which nothing is known here: none is in memory, and no file is looked for."""

    def find(self, kind: Kind, name: str) -> Path:
        raise kind.not_found(f"Whether there is a {kind.title} {name}, Triton knows: the stage runs there.")


class TritonStage:
    """Stands for a stage, and leaves alone what that one would run on: ComfyUI, models, a GPU.

    The files lie on storage that Triton sees under the same paths.
    """

    def __init__(self, stage: Stage, settings: TritonSettings) -> None:
        self.name = stage.name
        self.verb = stage.verb
        self.request_type = stage.request_type
        self.response_type = stage.response_type
        self.options = stage.options
        self.models: Models = ModelsElsewhere(stage.options)
        self._settings = settings
        self._client = TritonClient(settings.triton_url)
        self._datatypes = {tensor.name: tensor.wire_type for tensor in field_tensors(stage.request_type)}

    def warm_up(self) -> None:
        """Triton warms its models up itself before they are ready."""
        self._client.wait_until_ready(self.name, self._settings.triton_ready_seconds)

    def run(self, request: Request) -> Success:
        name = call_id(request.request_id)
        news = News(self._client, name)
        call = self._client.begin(
            self._model(), self._inputs(request), [self.name], name, self._settings.triton_timeout_seconds
        )
        with news.stopping(call):
            relay = _Relay()
            for told in news.of(call):
                relay.tell(told)
        return self._response(call.result())

    def _model(self) -> str:
        """One process that hosts all stages is asked itself: through the ensemble in front of it no cancel passes."""
        if not self._client.ready(self.name):
            raise TritonUnavailableError(f"Triton at {self._client.address} has no model {self.name} that is ready.")
        return HOST if self._client.ready(HOST) else self.name

    def _inputs(self, request: Request) -> dict[str, Value]:
        fields = request.model_dump(mode="json", include=set(self._datatypes), exclude_none=True)
        for name in PATHS & fields.keys():
            fields[name] = str(Path(fields[name]).absolute())
        return {name: field_value(self._datatypes[name], value) for name, value in fields.items()}

    def _response(self, outputs: dict[str, Value]) -> Success:
        try:
            (answer,) = outputs[self.name].texts()
            response: Success = self.response_type.model_validate_json(answer)
        except (KeyError, ValueError, ValidationError) as unreadable:
            raise TritonFailedError(
                f"The answer of {self.name} on Triton at {self._client.address} can't be read: it is of another "
                f"version ({first_line(unreadable)})."
            ) from None
        return response


class _Relay:
    """Tells whoever watches this job what Triton tells, and something now and then."""

    def __init__(self) -> None:
        self._last = Step("Triton")
        self._at = -STILL_SECONDS

    def tell(self, news: list[Told]) -> None:
        for told in news:
            self._tell(told.step)
        if time.monotonic() - self._at > STILL_SECONDS:
            self._tell(Step(self._last.node, self._last.done, self._last.total))

    def _tell(self, step: Step) -> None:
        self._last, self._at = step, time.monotonic()
        tell(step)
