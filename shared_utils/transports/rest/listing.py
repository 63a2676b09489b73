"""Which models a process holds, and which files its defaults name."""

import threading
from contextlib import suppress
from typing import Any

from pydantic import Field

from shared_utils.comfy.loader import CLIP, LORA, UNET, VAE, Loaded
from shared_utils.comfy.miniature import is_miniature
from shared_utils.contracts import Message, Success
from shared_utils.errors import ModelNotFoundError
from shared_utils.stage import Stage

KINDS = {"unet_model_name": UNET, "clip_model_name": CLIP, "vae_model_name": VAE, "lora_model_name": LORA}
"""The fields that name a model."""


class LoadedModel(Message):
    """A model in memory."""

    kind: str = Field(description="diffusion model, text encoder, VAE or LoRA.")
    file: str
    bytes: int = Field(description="What it takes in memory.")
    miniature: bool = Field(description="Whether it is a miniature, for trying vtryon only.")

    @classmethod
    def of(cls, loaded: Loaded) -> "LoadedModel":
        return cls(kind=loaded.kind, file=str(loaded.file), bytes=loaded.size, miniature=loaded.miniature)


class DefaultModel(Message):
    """What a request that does not name a model gets."""

    field: str = Field(description="The request's field.")
    kind: str
    name: str = Field(description="The field's default.")
    file: str | None = Field(description="The file of that name; null if there is none.")
    bytes: int | None = Field(description="The file's size.")
    miniature: bool | None


class Listing(Message):
    """The answer of GET /v1/models."""

    loaded: list[LoadedModel] = Field([], description="The most recently used last.")
    defaults: list[DefaultModel] = Field([], description="Those of this process.")


class Listed:
    """A stage of which one can see what it has loaded.

    It looks after each job, in the job's thread: while a node runs nobody may, and that can take a minute.
    """

    def __init__(self, stage: Stage) -> None:
        self.name = stage.name
        self.verb = stage.verb
        self.request_type = stage.request_type
        self.response_type = stage.response_type
        self.options = stage.options
        self.models = stage.models
        self.listing = Listing()
        self.may_load = threading.Event()
        """A process that can't listen is to end before it has loaded anything."""
        self._stage = stage

    def warm_up(self) -> None:
        self.may_load.wait()
        self._stage.warm_up()
        self._look()

    def run(self, request: Any) -> Success:
        try:
            return self._stage.run(request)
        finally:
            self._look()

    def _look(self) -> None:
        names = {field: getattr(self.options, field) for field in KINDS if hasattr(self.options, field)}
        self.listing = Listing(
            loaded=[LoadedModel.of(each) for each in self.models.loaded()],
            defaults=[self._default(field, name) for field, name in names.items()],
        )

    def _default(self, field: str, name: str) -> DefaultModel:
        described: dict[str, Any] = {"file": None, "bytes": None, "miniature": None}
        # A file can be taken away at any moment: then it is missing.
        with suppress(ModelNotFoundError, OSError):
            file = self.models.find(KINDS[field], name)
            described = {"file": str(file), "bytes": file.stat().st_size, "miniature": is_miniature(file)}
        return DefaultModel(field=field, kind=KINDS[field].title, name=name, **described)
