"""The schemas of the topics, as they lie in the folder schemas/avro beside the packages."""

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "schemas"


def subject(topic: str) -> str:
    """The name of a topic's values in a schema registry, and of the file with their schema."""
    return f"{topic}-value"


@cache
def topic_schema(topic: str) -> dict[str, Any] | None:
    """The schema of a topic's values, if the topic is one of ours."""
    file = FOLDER / "avro" / f"{subject(topic)}.avsc"
    if not file.is_file():
        return None
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
