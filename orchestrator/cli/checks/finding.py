"""What a check says."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """A line of the doctor's. FAIL: it can't work like this; warn: it may, or it could not be told."""

    state: Literal["ok", "warn", "FAIL"]
    title: str
    text: str
