"""What the environment can set for sampling."""

from sampling.models import SamplingOptions
from shared_utils.settings import Settings


class Config(SamplingOptions, Settings):
    """The settings of every process, and the defaults of this stage's requests."""
