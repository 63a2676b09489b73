"""A mirror, and a download from it that does not wait between its tries."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared_utils.downloads.download import Outcome, download
from shared_utils.downloads.fetch import Patience
from shared_utils.downloads.files import ModelFile
from shared_utils.downloads.source import Source
from tests.shared_utils.downloads.mirror import Mirror, mirroring


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name in {"HF_ENDPOINT", "HF_TOKEN", "SSL_CERT_FILE", "SSL_CERT_DIR"}:
            monkeypatch.delenv(name)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with mirroring() as running:
        yield running


@dataclass
class Told:
    """What a person would have seen."""

    said: list[str] = field(default_factory=list)
    done: dict[str, list[int]] = field(default_factory=dict)

    def at(self, doing: str, label: str, done: int, size: int) -> None:
        self.done.setdefault(f"{doing} {label}", []).append(done)

    def say(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Waits:
    """Takes the place of sleeping."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@dataclass
class Downloading:
    """Downloads to a folder; what was said and waited."""

    models: Path
    mirror: Mirror
    told: Told = field(default_factory=Told)
    waits: Waits = field(default_factory=Waits)

    def __call__(self, *files: ModelFile, source: Source | None = None, **given: Any) -> list[Outcome]:
        patience = given.pop("patience", {})
        return asyncio.run(
            download(
                files,
                self.models,
                source or Source(self.mirror.url()),
                self.told,
                patience=Patience(wait=self.waits, **{"tries": 3, "block": 64 * 1024, **patience}),
                **given,
            )
        )

    def left(self) -> list[str]:
        """All that lies in the folder."""
        return sorted(str(path.relative_to(self.models)) for path in self.models.rglob("*") if path.is_file())


@pytest.fixture
def downloading(tmp_path: Path, mirror: Mirror) -> Downloading:
    return Downloading(tmp_path / "models", mirror)


Check = Callable[[ModelFile, Outcome], None]


@pytest.fixture
def whole(downloading: Downloading) -> Check:
    """The file is there, right, and alone."""

    def check(file: ModelFile, outcome: Outcome) -> None:
        assert outcome.good, outcome.remark
        target = downloading.models / file.label
        assert target.read_bytes() == downloading.mirror.content(file)
        assert downloading.left() == [".verified.json", file.label]

    return check
