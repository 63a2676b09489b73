"""What is kept comes back as it was, or not at all."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from shared_utils.artifacts.cache import ENDING, Cache, digest
from shared_utils.artifacts.tensors import tensor_file
from shared_utils.settings import Settings

VALUE = {"conditioning": [[torch.arange(6.0), {"reference_latents": [torch.ones(2)]}]], "shapes": [[1, 2], [3]]}
KEY = digest("a key")


def cache(folder: Path | None = None, **settings: Any) -> Cache:
    return Cache(Settings(reuse_dir=folder, **settings))


def same(found: Any) -> bool:
    return tensor_file(found) == tensor_file(VALUE)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{ENDING}"))


@pytest.mark.parametrize("settings", [{}, {"reuse_memory_mb": 0}], ids=["both", "folder alone"])
def test_what_was_put_comes_back(tmp_path: Path, settings: dict[str, Any]) -> None:
    kept = cache(tmp_path, **settings)
    assert kept.get(KEY) is None
    kept.put(KEY, VALUE)
    assert same(kept.get(KEY))
    assert same(cache(tmp_path).get(KEY)), "by another process"
    assert kept.get(digest("another")) is None


def test_nothing_is_shared_with_who_put_or_got_it() -> None:
    kept, tensor = cache(), torch.zeros(3)
    kept.put(KEY, [tensor])
    tensor += 1
    first: Any = kept.get(KEY)
    first[0].add_(5)
    second: Any = kept.get(KEY)
    assert second[0].tolist() == [0, 0, 0]


def test_off() -> None:
    kept = cache(reuse_memory_mb=0)
    kept.put(KEY, VALUE)
    assert not kept.on
    assert kept.get(KEY) is None


def test_memory_is_bounded_and_the_least_used_goes() -> None:
    kept, names = cache(reuse_memory_mb=0.05), [digest(number) for number in range(6)]
    for name in names:
        kept.put(name, torch.zeros(2500))
        kept.get(names[0])
    there = [name for name in names if kept.get(name) is not None]
    assert there[0] == names[0]
    assert names[1] not in there
    assert names[-1] in there
    kept.put(KEY, torch.zeros(100_000))
    assert kept.get(KEY) is None, "what is larger than all of it pushes nothing out"
    assert [name for name in names if kept.get(name) is not None] == there


def test_the_folder_is_bounded(tmp_path: Path) -> None:
    kept, names = cache(tmp_path, reuse_memory_mb=0, reuse_dir_gb=0.0001), [digest(number) for number in range(20)]
    for moment, name in enumerate(names):
        kept.put(name, torch.zeros(2500))
        os.utime(tmp_path / name[:2] / f"{name}{ENDING}", (moment, moment))
    assert sum(file.stat().st_size for file in files(tmp_path)) < 0.0001e9 * 1.2
    assert kept.get(names[-1]) is not None
    assert kept.get(names[0]) is None


def test_what_a_dead_writer_left_goes(tmp_path: Path) -> None:
    (tmp_path / KEY[:2]).mkdir()
    old, new = (tmp_path / KEY[:2] / name for name in (".old.part", ".new.part"))
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    cache(tmp_path).put(KEY, VALUE)
    assert not old.exists()
    assert new.exists(), "somebody may be writing it"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)


def swap(file: Path) -> None:
    """A whole entry, but of another key."""
    other = digest("another")
    cache(file.parents[1]).put(other, torch.ones(3))
    (file.parents[1] / other[:2] / f"{other}{ENDING}").replace(file)


def remove(file: Path) -> None:
    file.unlink()


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [cut, empty, flip, swap, remove, a_folder])
def test_what_is_damaged_is_not_there(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    cache(tmp_path).put(KEY, VALUE)
    (file,) = files(tmp_path)
    damage(file)
    kept = cache(tmp_path)
    assert kept.get(KEY) is None
    kept.put(KEY, VALUE)
    assert same(kept.get(KEY))


def test_who_can_not_write_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    kept = cache(tmp_path / "file", reuse_memory_mb=0)
    kept.put(KEY, VALUE)
    kept.put(KEY, VALUE)
    assert kept.get(KEY) is None
    (said,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "REUSE_DIR" in said.getMessage()


def test_many_writers_of_one_folder(tmp_path: Path) -> None:
    """Each reads what it asks for, or nothing, while others write, remove and damage."""
    keys = [digest(number) for number in range(8)]
    wrong: list[Any] = []
    together = threading.Barrier(6)

    def work(number: int) -> None:
        mine = cache(tmp_path, reuse_memory_mb=0, reuse_dir_gb=0.00005)
        together.wait()
        for turn in range(60):
            key = keys[(turn + number) % len(keys)]
            found = mine.get(key)
            if found is not None and found.tolist() != [keys.index(key)] * 500:
                wrong.append(found)
            mine.put(key, torch.full((500,), float(keys.index(key))))
            if number == 0:
                for file in files(tmp_path)[:1]:
                    file.unlink(missing_ok=True)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "other",
    [
        torch.zeros(4),
        torch.zeros(2, 2),
        torch.zeros(4, dtype=torch.float16),
        torch.zeros(3),
        [torch.zeros(4)],
        b"0000",
        "0",
        0,
        None,
        {"a": 0},
        ["ab"],
        ["a", "b"],
    ],
    ids=str,
)
def test_a_digest_tells_values_apart(other: Any) -> None:
    assert digest(other) == digest(other)
    assert digest(other) != digest(torch.zeros(4) + 1)
    assert digest([other]) != digest(other)
    assert digest(other, None) != digest(other)
    assert digest("ab", "c") != digest("a", "bc")


def test_digests_of_different_values_differ() -> None:
    values = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.float16), 0, 0.0, "0", b"0", None, [], {}]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(torch.tensor([0.0])) != digest(torch.tensor([-0.0])), "bits count"
    assert digest(torch.arange(4)[::2]) == digest(torch.tensor([0, 2]))


def test_what_can_not_be_compared_has_no_digest() -> None:
    with pytest.raises(TypeError):
        digest(object())
