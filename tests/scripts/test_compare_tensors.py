"""The comparison sees every kind of difference, the small ones too."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compare_tensors import differences

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compare_tensors.py"


def conditioning(**metadata: Any) -> Any:
    return [[torch.ones(1, 2, 3), {"pooled_output": None, "reference_latents": [torch.zeros(1, 4)]} | metadata]]


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (torch.tensor([0.0]), torch.tensor([-0.0]), "0 of 1 numbers differ"),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]), "1 of 2 numbers differ, by at most 0.5"),
        (torch.zeros(2), torch.zeros(3), "[2] torch.float32 in A, [3] torch.float32 in B"),
        (torch.zeros(2), torch.zeros(2).half(), "torch.float16 in B"),
        (conditioning(), conditioning(reference_latents=[]), "1 entries in A, 0 in B"),
        (conditioning(), conditioning(extra=1), "'extra' is only in B"),
        (conditioning(), conditioning(pooled_output=torch.zeros(1)), "NoneType in A, Tensor in B"),
        (conditioning(), conditioning(reference_latents=[torch.ones(1, 4)]), "[0][1]['reference_latents'][0]"),
    ],
)
def test_differences_are_found_and_placed(a: Any, b: Any, said: str) -> None:
    found = list(differences(a, b))
    assert len(found) == 1
    assert said in found[0]


def test_the_same_is_the_same() -> None:
    nan = torch.tensor([float("nan")])
    assert list(differences(conditioning(x=nan), tuple(map(tuple, conditioning(x=nan.clone()))))) == []


def test_the_command(tmp_path: Path) -> None:
    for name, value in {"a": torch.zeros(2), "same": torch.zeros(2), "other": torch.ones(2)}.items():
        torch.save(value, tmp_path / f"{name}.pt")
    (tmp_path / "text.pt").write_text("no tensor")

    def run(other: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), str(tmp_path / "a.pt"), str(tmp_path / f"{other}.pt")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert (run("same").returncode, run("same").stdout) == (0, "identical, bit for bit\n")
    assert run("other").returncode == 1
    assert run("text").returncode == 2
