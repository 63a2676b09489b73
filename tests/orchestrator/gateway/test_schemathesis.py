"""What OpenAPI promises, held against a real gateway: schemathesis finds no 500, and nothing that is undocumented."""

from collections.abc import Iterator

import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import PATH, House, gateway_on, house_on
from tests.shared_utils.transports.rest.fuzzing import fuzz

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with EmbeddedBroker() as broker, house_on(broker, folder, storage_roots=[folder]) as made:
        yield made


def test_whatever_is_sent(house: House) -> None:
    found = fuzz(f"{house.http.base_url}/openapi.json", examples=40)
    assert not found.problems, found.problems[:10]
    assert {403, 415, 422} <= found.statuses[f"POST {PATH}"]
    assert {200, 422} <= found.statuses[f"GET {PATH}"]


def test_whatever_is_sent_without_a_key(house: House) -> None:
    with gateway_on(house.orchestra, gateway_api_keys='{"ann": "key"}') as guarded:
        found = fuzz(f"{guarded.http.base_url}/openapi.json", examples=5)
    assert not found.problems, found.problems[:10]
    assert 401 in found.statuses[f"GET {PATH}"]


def test_what_no_generator_hits_upon(house: House) -> None:
    """Pictures that are some, and ids of try-ons that there are."""
    schema = schemathesis.openapi.from_url(f"{house.http.base_url}/openapi.json")
    request = house.http.build_request("POST", PATH, files={"person": picture(), "garment": picture()})
    request.read()
    submitted = house.http.send(request)
    schema[PATH]["POST"].validate_response(submitted)
    name = submitted.json()["try_ons"][0]["id"]
    house.wait(name, "succeeded")
    for path, method, status in (
        ("/v1/try-ons/{id}", "GET", 200),
        ("/v1/try-ons/{id}", "DELETE", 409),
        ("/v1/try-ons/{id}/events", "GET", 200),
        ("/v1/try-ons/{id}/image", "GET", 200),
    ):
        answer = schema[path][method].Case(path_parameters={"id": name}).call_and_validate(checks=CHECKS)
        assert answer.status_code == status
