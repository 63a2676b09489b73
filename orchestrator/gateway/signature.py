"""How a callback shows who sent it: the headers of Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key in a secret: whsec_ and the base64 of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("give whsec_ and the base64 of 24 to 64 random bytes")
    return key


def headers_for(key: bytes, name: str, moment: int, body: bytes) -> dict[str, str]:
    """`name` is the same whenever this callback is sent; `moment`, in seconds since 1970, is when this is."""
    signed = hmac.digest(key, f"{name}.{moment}.".encode() + body, hashlib.sha256)
    return {ID: name, TIMESTAMP: str(moment), SIGNATURE: f"v1,{base64.b64encode(signed).decode()}"}
