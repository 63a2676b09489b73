"""A custom node of ComfyUI without a node: with it the stock server loads miniature models, which it knows no sizes of.

Nothing else is changed. Models of the published sizes are loaded as without it.
"""

from shared_utils.comfy.sizes import read_off_checkpoints

read_off_checkpoints()

NODE_CLASS_MAPPINGS: dict[str, type] = {}
