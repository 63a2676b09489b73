"""What the environment can set for decoding."""

from decoding.models import DecodingOptions
from shared_utils.settings import Settings


class Config(DecodingOptions, Settings):
    """The settings of every process, and the defaults of this stage's requests."""
