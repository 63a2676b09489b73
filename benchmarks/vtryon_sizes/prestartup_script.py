"""ComfyUI runs this before it imports its nodes: what vtryon leaves out, the server goes without in the same way."""

from shared_utils.comfy.runtime import stand_in_for

stand_in_for("torchvision", "torchaudio")
