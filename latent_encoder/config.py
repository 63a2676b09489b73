"""What the environment can set for the latent encoder."""

from latent_encoder.models import LatentEncoderOptions
from shared_utils.settings import Settings


class Config(LatentEncoderOptions, Settings):
    """The settings of every process, and the defaults of this stage's requests."""
