"""Where model files are downloaded from."""

from pydantic import Field, SecretStr

from shared_utils.settings import Settings


class DownloadSettings(Settings):
    """Under the names that Hugging Face's own tools read."""

    hf_endpoint: str = Field(
        "https://huggingface.co",
        description="Where model files are downloaded from: Hugging Face, or a mirror that has its paths.",
    )
    hf_token: SecretStr | None = Field(None, description="Access token for it, sent to no other host. Never logged.")
