"""What the methods of the gRPC service TryOn take and give, besides a TryOnView."""

from pydantic import Field

from orchestrator.gateway.models import TryOnView
from orchestrator.models import TryOnFields
from shared_utils.contracts import LocalPath, Message, Progress


class SubmitRequest(TryOnFields, Message):
    """What a try-on is asked with: each picture as a path that the gateway may read, or its content."""

    person_image_path: LocalPath | None = Field(None, description="The person, the area to dress painted green.")
    person: bytes | None = Field(None, description="The same as a picture: PNG, JPEG or WebP.")
    garment_image_paths: list[LocalPath] = Field([], description="The garments; each makes a try-on of its own.")
    garments: list[bytes] = Field([], description="The same as pictures.")
    mask: bytes | None = Field(None, description="What mask_image_path names, as a picture.")
    idempotency_key: str | None = Field(
        None, description="Sent again with the same request, the answer is the same, and nothing is done twice."
    )


class SubmitResponse(Message):
    try_ons: list[TryOnView] = Field(description="One for each garment, in their order.")


class GetRequest(Message):
    id: str = Field(description="Of the try-on.")


class CancelRequest(Message):
    id: str = Field(description="Of the try-on.")


class WatchRequest(Message):
    id: str = Field(description="Of the try-on.")
    after: str | None = Field(None, description="The cursor of the last event that came; from the first one if absent.")


class WatchEvent(Message):
    """One piece of news of a try-on: one of its status and its progress."""

    cursor: str | None = Field(
        None, description="Where to go on after this event; absent where a place in the queue has changed."
    )
    status: TryOnView | None = Field(None, description="The whole try-on, whenever its state changes.")
    progress: Progress | None = Field(None, description="How far a step is.")
