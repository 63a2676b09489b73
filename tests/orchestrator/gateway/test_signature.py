"""The signature of a callback, held against an example that others have published, and against our own document."""

import base64
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.gateway.signature import headers_for, key_of

BODY = b'{"test": 2432232314}'


def test_as_standard_webhooks_has_it() -> None:
    # The example of the specification's own libraries.
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = headers_for(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("bytes_of_key", [24, 32, 64])
def test_keys(bytes_of_key: int) -> None:
    key = bytes(range(bytes_of_key))
    assert key_of(f"whsec_{base64.b64encode(key).decode()}") == key


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "a secret of my own",
        base64.b64encode(bytes(32)).decode(),
        f"whsec_{base64.b64encode(bytes(23)).decode()}",
        f"whsec_{base64.b64encode(bytes(65)).decode()}",
        f"whsec_{'ä' * 40}",
        f"whsec_{'-' * 44}",
    ],
)
def test_secrets_that_are_none(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^give whsec_ and the base64 of 24 to 64 random bytes$"):
        key_of(secret)


@pytest.fixture(scope="module")
def documented() -> Callable[[dict[str, str], bytes, str], bool]:
    """The function that docs/WEBHOOKS.md gives to receivers."""
    document = (Path(__file__).resolve().parents[3] / "docs" / "WEBHOOKS.md").read_text(encoding="utf-8")
    found: dict[str, Callable[[dict[str, str], bytes, str], bool]] = {}
    (source,) = (block for block in re.findall(r"```python\n(.*?)```", document, re.DOTALL) if "def verified" in block)
    exec(source, found)  # noqa: S102  it is ours
    return found["verified"]


def test_as_documented(documented: Callable[[dict[str, str], bytes, str], bool]) -> None:
    secret, other = (f"whsec_{base64.b64encode(bytes([byte] * 32)).decode()}" for byte in (1, 2))
    moment = int(time.time())
    headers = headers_for(key_of(secret), "event-1", moment, BODY)
    assert documented(headers, BODY, secret)
    assert not documented(headers, BODY + b" ", secret)
    assert not documented(headers, BODY, other)
    assert not documented(headers | {"webhook-id": "event-2"}, BODY, secret)
    assert not documented(headers | {"webhook-timestamp": str(moment - 1)}, BODY, secret)
    assert not documented(headers_for(key_of(secret), "event-1", moment - 301, BODY), BODY, secret)
