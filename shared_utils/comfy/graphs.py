"""The VAE's two halves as ONNX models: their names, and what goes into them and comes out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """A tensor of FP32. Sizes that a request decides have names."""

    name: str
    dims: tuple[int | str, ...]
    description: str


@dataclass(frozen=True)
class Graph:
    """One ONNX model."""

    name: str
    purpose: str
    input: Port
    output: Port

    @property
    def file(self) -> str:
        return f"{self.name}.onnx"


ENCODER = Graph(
    "vae_encoder",
    "VAEEncode: a picture into the VAE's latent space.",
    Port("pixels", (1, "height", "width", 3), "RGB, 0 to 1. Sides that 8 does not divide are cropped at both ends."),
    Port("latent", (1, 16, 1, "latent_height", "latent_width"), "The latent, in units of 8 pixels."),
)
DECODER = Graph(
    "vae_decoder",
    "VAEDecode: a latent as a picture.",
    Port("latent", (1, 16, 1, "latent_height", "latent_width"), "The latent, in units of 8 pixels."),
    Port("pixels", (1, "height", "width", 3), "RGB, 0 to 1."),
)
GRAPHS = (ENCODER, DECODER)
