"""What the tests of jobs as files share."""

from pathlib import Path

import pytest

from shared_utils.transports.files.settings import FilesSettings
from tests.shared_utils.transports.files.support import Clock, Folders


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FilesSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()
