"""The orchestrator's image has none of what the stages need: no PyTorch, no ComfyUI, no reader of checkpoints."""

import subprocess
import sys

import pytest

BLOCKED = ("torch", "numpy", "safetensors", "transformers", "tokenizers", "scipy", "yaml", "psutil", "av", "einops")
WITHOUT = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED}:
            raise ModuleNotFoundError(f"{{name}} is not in the slim image", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize(
    "started",
    [
        "from orchestrator.main import main; main(['--help'])",
        "from orchestrator.gateway import process; import sys; sys.exit(0)",
        "from orchestrator.cli.main import main; sys.argv[1:] = ['topics', 'create', '--help']; main()",
        "from orchestrator.cli.main import main; sys.argv[1:] = ['models', 'download', '--help']; main()",
        "from orchestrator.cli.main import main; sys.argv[1:] = ['submit', '--help']; main()",
    ],
    ids=["orchestrator", "gateway", "topics", "download", "submit"],
)
def test_starts_without_the_packages_of_the_stages(started: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT + started], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
