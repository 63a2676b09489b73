"""The stages behind NVIDIA's Triton: in its processes, on the same models."""

from typing import Any

from shared_utils.contracts import Failure, Success, echoable
from shared_utils.errors import VtryonError
from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.tensors import LARGEST_INT64, field_tensors, names_a_file
from shared_utils.transports.triton.wire import field_value
from tests.transports_contract.doors import HERE, REQUESTS, SOON, Door, Fields
from tests.triton.support import build, environment

DATATYPES = {
    name: {tensor.name: tensor.wire_type for tensor in field_tensors(request)} for name, request in REQUESTS.items()
}


class Triton(Door):
    name = "triton"

    @classmethod
    def can_say(cls, stage: str, fields: Fields) -> bool:
        """Only what is of the tensor's type, and no names of files but in ASCII. Null is to leave it out."""
        given = {name: value for name, value in fields.items() if value is not None}
        return all(_fits(DATATYPES[stage][name], value) and _is_writable(name, value) for name, value in given.items())

    def open(self) -> None:
        repository = build(self._folder / "repository")
        given = environment(next(iter(self._stages.values())).options.model_dir)
        server = TritonServer(repository, self._folder / "server", environment=given, dies_with_parent=True)
        self._client = self._open.enter_context(TritonClient(self._open.enter_context(server).grpc))

    def ask(self, stage: str, fields: Fields) -> Success | Failure:
        given = {
            name: field_value(DATATYPES[stage][name], value) for name, value in fields.items() if value is not None
        }
        try:
            (answer,) = self._client.infer(stage, given, [stage], timeout=SOON)[stage].texts()
        except VtryonError as failed:
            return Failure.of(failed, str(echoable(fields["request_id"])), echoable(fields.get("correlation_id")))
        return self._read(stage, answer)


def _fits(datatype: str, value: Any) -> bool:
    match datatype:
        case "BYTES":
            return isinstance(value, str) and _is_utf8(value)
        case "BOOL":
            return isinstance(value, bool)
        case "FP64":
            return isinstance(value, float)
        case "INT64":
            return type(value) is int and -LARGEST_INT64 - 1 <= value <= LARGEST_INT64
        case _:
            return type(value) is int and 0 <= value < 2**64


def _is_writable(field: str, value: Any) -> bool:
    """Triton starts Python without a locale; tests/triton shows what becomes of such names."""
    return not names_a_file(field) or str(value).isascii()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


DOORS: tuple[type[Door], ...] = (*HERE, Triton)
