"""An error as the status of a gRPC call, and back: its code, its message and whether to try again go along."""

from collections.abc import Mapping

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from shared_utils.contracts import Failure
from shared_utils.transports.grpc.errors import CallFailedError
from shared_utils.transports.grpc.statuses import status_of

DOMAIN = "vtryon"
DETAILS = "grpc-status-details-bin"
"""The trailer that a status with details travels in."""
MESSAGE_BYTES = 1200
"""The message goes along twice, and clients refuse a status of more than 8 kB."""
WITHOUT_INFO: Mapping[grpc.StatusCode, tuple[str, bool]] = {
    grpc.StatusCode.UNAVAILABLE: ("GRPC_UNAVAILABLE", True),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("DEADLINE_EXCEEDED", False),
    grpc.StatusCode.CANCELLED: ("CANCELLED", False),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("REQUEST_TOO_LARGE", False),
}
"""What gRPC itself ends a call with, before a server of ours has it in hand: the code, and whether to try again."""


def status(failure: Failure, retry_after: int | None = None) -> Status:
    """What the call ends with."""
    ids = {"request_id": failure.request_id, "correlation_id": failure.correlation_id}
    known = {name: value for name, value in ids.items() if value}
    retryable = "true" if failure.retryable else "false"
    info = ErrorInfo(reason=failure.error_code, domain=DOMAIN, metadata={"retryable": retryable, **known})
    found = Status(code=status_of(failure.error_code).value[0], message=_bounded(failure.error_message))
    found.details.add().Pack(info)
    if retry_after is not None:
        found.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=retry_after)))
    return found


def error_of(call: grpc.Call) -> CallFailedError:
    """What a call says that did not end well."""
    code, words = call.code(), call.details() or "no details"
    info, retry = ErrorInfo(), RetryInfo()
    try:
        details = getattr(rpc_status.from_call(call), "details", ())
        ours = any(detail.Unpack(info) for detail in details) and info.domain == DOMAIN
        later = any(detail.Unpack(retry) for detail in details)
    except (ValueError, DecodeError):  # whoever answers may be anybody
        ours = later = False
    if not ours:
        error_code, retryable = WITHOUT_INFO.get(code, ("INTERNAL_ERROR", False))
        return CallFailedError(error_code, f"{code.name}: {words}", retryable=retryable)
    seconds = retry.retry_delay.seconds if later else None
    return CallFailedError(info.reason, words, retryable=info.metadata.get("retryable") == "true", retry_after=seconds)


def _bounded(message: str) -> str:
    content = message.encode("utf-8", "replace")
    if len(content) <= MESSAGE_BYTES:
        return message
    return f"{content[: MESSAGE_BYTES - 3].decode('utf-8', 'ignore')}..."
