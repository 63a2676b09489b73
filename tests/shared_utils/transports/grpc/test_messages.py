"""A contract as a message of Protocol Buffers loses nothing; its numbers are in the tables."""

import generate_schemas
import pytest
from grpc import StatusCode
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from shared_utils.transports.grpc.generated.vtryon_pb2 import DESCRIPTOR
from shared_utils.transports.grpc.messages import model_of, parsed, written
from shared_utils.transports.grpc.statuses import STATUSES, status_of
from tests.shared_utils.schemas.contracts import messages

CONTRACTS = sorted(
    {
        contract
        for service in generate_schemas.SERVICES
        for method in service.methods
        for contract in (method.request, method.response)
    },
    key=lambda contract: contract.__name__,
)


@given(st.sampled_from(CONTRACTS).flatmap(messages))
def test_what_is_written_is_read(message: BaseModel) -> None:
    kind = DESCRIPTOR.message_types_by_name[type(message).__name__]
    assert model_of(type(message), parsed(kind, written(kind, message.model_dump()))) == message


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_field_is_there(contract: type[BaseModel]) -> None:
    assert set(contract.model_fields) == set(DESCRIPTOR.message_types_by_name[contract.__name__].fields_by_name)


def test_what_nobody_can_do_anything_about_is_internal() -> None:
    assert status_of("SAMPLING_FAILED") == status_of("NEVER_HEARD_OF") == StatusCode.INTERNAL
    assert StatusCode.INTERNAL not in STATUSES.values()
