"""A stage in another process, on Triton: what a Kafka worker has in hand with STAGE_BACKEND=triton."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared_utils.stage import Stage
from shared_utils.transports.triton.config import Instances, Model, Queue, python_model
from shared_utils.transports.triton.repository import CODE, CONFIG, NEWS
from shared_utils.transports.triton.server import TritonServer
from shared_utils.transports.triton.settings import TritonSettings
from shared_utils.transports.triton.stage import TritonStage
from shared_utils.transports.triton.tensors import StageContract
from tests.kafka.support import Puppet
from tests.triton.support import build, environment

HOSTING_A_PUPPET = """
from pathlib import Path

from shared_utils.transports.triton.backend import TritonPythonModel as Backend
from tests.kafka.support import Puppet


class TritonPythonModel(Backend):
    def stages(self, parameters):
        return [Puppet({name!r}, Path({folder!r}))]
"""


@contextmanager
def on_triton(puppet: Puppet, folder: Path) -> Iterator[Stage]:
    """The puppet's double in a server of its own; they hang on the same strings."""
    repository = folder / "repository"
    shutil.copytree(build(folder / "built") / NEWS, repository / NEWS)
    contract = StageContract(puppet.name, puppet.request_type, puppet.response_type)
    model = Model(puppet.name, "A puppet.", contract.inputs(), contract.outputs())
    config, code = repository / puppet.name / CONFIG, repository / puppet.name / CODE
    code.parent.mkdir(parents=True)
    config.write_text(python_model(model, Instances(), Queue()))
    code.write_text(HOSTING_A_PUPPET.format(name=puppet.name, folder=str(puppet.folder.parent)))
    with TritonServer(repository, folder / "server", environment=environment(folder), dies_with_parent=True) as server:
        yield TritonStage(puppet, TritonSettings(triton_url=server.grpc))
