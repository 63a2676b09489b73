"""The stages that one model of Triton's hosts, and what becomes of a request to it."""

import tempfile
import uuid
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from shared_utils.comfy.progress import Step
from shared_utils.contracts import Failure
from shared_utils.errors import CancelledError, InvalidRequestError, OutOfMemoryError, VtryonError
from shared_utils.stage import Stage, answer
from shared_utils.transports.triton.arrays import Arrays, identifier, value_of
from shared_utils.transports.triton.exchange import fields_of, outputs_of
from shared_utils.transports.triton.news_folder import NewsFolder
from shared_utils.transports.triton.tensors import response_tensors


@dataclass(frozen=True)
class Asked:
    """A request to a model."""

    inputs: Arrays
    outputs: AbstractSet[str]
    """The names of those that are wanted. Triton names all if the caller named none."""
    name: str
    """What Triton's own field for it says; may be empty."""
    is_cancelled: Callable[[], bool]


class Hosted:
    """Works on one request at a time, in the thread that asks."""

    def __init__(self, stages: Sequence[Stage], news: NewsFolder, folder: Path) -> None:
        self._stages = {
            tensor.name: stage for stage in stages for tensor in response_tensors(stage.name, stage.response_type)
        }
        self._news = news
        self._folder = folder

    def answer(self, asked: Asked) -> Arrays | Failure:
        """The outputs, or why there are none."""
        try:
            stage = self._meant(asked.outputs)
            with tempfile.TemporaryDirectory(dir=self._folder) as private:
                return self._answer(stage, asked, Path(private))
        except VtryonError as error:
            return Failure.of(error, asked.name)

    def _meant(self, outputs: AbstractSet[str]) -> Stage:
        """The stage whose outputs are wanted."""
        meant = {stage.name: stage for name, stage in self._stages.items() if name in outputs}
        if len(meant) != 1:
            raise InvalidRequestError(
                f"The outputs {', '.join(sorted(outputs))} are of {', '.join(meant) or 'no stage'}: "
                "name those of one stage in a request."
            )
        return next(iter(meant.values()))

    def _answer(self, stage: Stage, asked: Asked, private: Path) -> Arrays | Failure:
        name = identifier(asked.name)
        call = name or identifier(value_of(asked.inputs, "request_id")) or uuid.uuid4().hex
        self._news.begin(call, stage.name)

        def watch(step: Step | None = None) -> None:
            if self._news.is_stopped(call) or asked.is_cancelled():
                raise CancelledError("Nobody waits for this request any more.")
            if step:
                self._news.tell(call, stage.name, step)

        watch()
        fields = fields_of(asked.inputs, stage.request_type, _made(private / "in"))
        kept = "output_dir" in fields
        response = answer(stage, {"request_id": name, "output_dir": str(private / "out"), **fields}, watch)
        if not isinstance(response, Failure):
            return outputs_of(response, stage.name, asked.outputs, kept)
        if response.error_code == OutOfMemoryError.code:
            stage.models.recover()
        # What came as data is known to the caller by the name of its tensor.
        return response.model_copy(update={"error_message": response.error_message.replace(f"{private / 'in'}/", "")})


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
