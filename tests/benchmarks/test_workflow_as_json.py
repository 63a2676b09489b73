"""The prompt that ComfyUI's server gets has the nodes that the server knows, with all that they insist on."""

import inspect
from typing import Any

from workflow import SAVED, api_prompt

from shared_utils.comfy.nodes import EXTRAS
from shared_utils.comfy.runtime import Comfy

PROMPT: dict[str, Any] = api_prompt("person.png", "garment.png", seed=7, megapixels=0.25, steps=4)


def test_nodes_and_inputs_are_comfyuis(comfy: Comfy) -> None:
    for node in PROMPT.values():
        name = node["class_type"]
        kind = getattr(comfy.module(EXTRAS[name]), name) if name in EXTRAS else comfy.nodes.NODE_CLASS_MAPPINGS[name]
        work = kind.execute if hasattr(kind, "define_schema") else getattr(kind, kind.FUNCTION)
        parameters = {each: value for each, value in inspect.signature(work).parameters.items() if each != "self"}
        needed = {each for each, value in parameters.items() if value.default is value.empty}
        assert needed <= node["inputs"].keys() <= parameters.keys(), name


def test_every_link_leads_to_a_node_and_every_node_to_the_picture() -> None:
    reached = [SAVED]
    for name in reached:  # it grows on the way
        links = [link[0] for link in PROMPT[name]["inputs"].values() if isinstance(link, list)]
        reached += [link for link in links if link not in reached]
    assert set(reached) == PROMPT.keys()


def test_what_a_try_on_may_choose_is_in_it() -> None:
    other = api_prompt("p.png", "g.png", seed=8, megapixels=1.0, steps=8)
    assert (other["person"]["inputs"]["image"], other["garment"]["inputs"]["image"]) == ("p.png", "g.png")
    assert other["scaled"]["inputs"]["megapixels"] == 1.0
    assert (other["sampled"]["inputs"]["seed"], other["sampled"]["inputs"]["steps"]) == (8, 8)
