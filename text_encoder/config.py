"""What the environment can set for the text encoder."""

from shared_utils.settings import Settings
from text_encoder.models import TextEncoderOptions


class Config(TextEncoderOptions, Settings):
    """The settings of every process, and the defaults of this stage's requests."""
