"""Running a node by name: what the caller leaves out comes from the node's own schema."""

from types import SimpleNamespace
from typing import Any

import pytest

from shared_utils.comfy import nodes
from shared_utils.comfy.progress import Step, watched_by
from shared_utils.comfy.runtime import Comfy
from shared_utils.errors import CancelledError, ComfyUIInitializationError


class OldNode:
    """A node of the old style that has gained inputs since we wrote its call."""

    FUNCTION = "go"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  ComfyUI's name
        return {
            "required": {"value": ("INT", {"default": 3}), "method": (["first", "second"],), "image": ("IMAGE",)},
            "optional": {"extra": ("FLOAT", {"default": 0.5})},
        }

    def go(self, image: str, value: int, method: str, extra: float, last: int = 9) -> tuple[Any, ...]:
        return ((image, value, method, extra, last),)


class NewNode:
    """The same in the new style, whose nodes do not fill in their defaults when called."""

    @classmethod
    def define_schema(cls) -> Any:
        entries = [SimpleNamespace(id="image"), SimpleNamespace(id="value", default=3)]
        return SimpleNamespace(inputs=entries)

    @classmethod
    def execute(cls, image: str, value: int, last: int = 9) -> Any:
        return SimpleNamespace(result=((image, value, last),))


@pytest.fixture
def with_nodes(comfy: Comfy, monkeypatch: pytest.MonkeyPatch) -> Comfy:
    for name, node in {"Old": OldNode, "New": NewNode}.items():
        monkeypatch.setitem(comfy.nodes.NODE_CLASS_MAPPINGS, name, node)
    return comfy


def test_inputs_left_out_come_from_the_schema(with_nodes: Comfy) -> None:
    assert nodes.run(with_nodes, "Old", image="i") == ("i", 3, "first", 0.5, 9)
    assert nodes.run(with_nodes, "New", image="i") == ("i", 3, 9)


def test_inputs_given_win(with_nodes: Comfy) -> None:
    assert nodes.run(with_nodes, "Old", image="i", value=1, method="second", extra=2.0) == ("i", 1, "second", 2.0, 9)
    assert nodes.run(with_nodes, "New", image="i", value=1, last=2) == ("i", 1, 2)


def test_an_unknown_node_is_named(comfy: Comfy) -> None:
    with pytest.raises(ComfyUIInitializationError, match="NoSuchNode"):
        nodes.run(comfy, "NoSuchNode")


def test_a_watcher_hears_of_every_node_and_can_stop_between_two(with_nodes: Comfy) -> None:
    heard: list[Step] = []

    def watcher(step: Step) -> None:
        heard.append(step)
        if step.node == "New":
            raise CancelledError("stop")

    with watched_by(watcher):
        nodes.run(with_nodes, "Old", image="i")
        with pytest.raises(CancelledError):
            nodes.run(with_nodes, "New", image="i")
    nodes.run(with_nodes, "New", image="i")
    assert heard == [Step("Old"), Step("New")]
