"""All doors to one set of stages, and the files that the cases need."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared_utils.stage import Stage
from tests.bad_input.conftest import Good
from tests.bad_input.test_bad_models import FILES
from tests.conftest import Stages
from tests.transports_contract.cases import good_files
from tests.transports_contract.doors import Direct, Door
from tests.transports_contract.triton_door import DOORS

NAMES = ("latent_encoder", "text_encoder", "sampling", "decoding")


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    return good_files(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="session")
def behind(
    make_stages: Callable[..., Stages], model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Stage]:
    """The stages, with a cut-off model beside each good one."""
    shelf = tmp_path_factory.mktemp("shelf")
    for file in FILES.values():
        (shelf / file.parent).mkdir()
        (shelf / file).symlink_to(model_dir / file)
        content = (model_dir / file).read_bytes()
        (shelf / file.parent / "half.safetensors").write_bytes(content[: len(content) // 2])
    made = make_stages(model_dir=shelf)
    return {name: getattr(made, name) for name in NAMES}


@pytest.fixture(scope="session")
def direct(behind: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> Direct:
    return Direct(behind, tmp_path_factory.mktemp("direct"))


@pytest.fixture(scope="session")
def open_doors(behind: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Door]]:
    """The door of a name, opened when it is first asked for."""
    opened: dict[str, Door] = {}
    with ExitStack() as stack:

        def find(name: str) -> Door:
            if name not in opened:
                kind = next(each for each in DOORS if each.name == name)
                opened[name] = stack.enter_context(kind(behind, tmp_path_factory.mktemp(name)))
            return opened[name]

        yield find


@pytest.fixture
def door(request: pytest.FixtureRequest, open_doors: Callable[[str], Door]) -> Door:
    return open_doors(request.param)
