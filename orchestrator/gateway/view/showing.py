"""What a caller is shown of a try-on, made from what Kafka says of it.

Nobody asks for most of what is read from Kafka, so nothing is made before somebody does; and then it is kept ready, for
whoever asks next.
"""

from functools import lru_cache

from pydantic import TypeAdapter

from orchestrator.gateway.models import TryOnView
from orchestrator.gateway.view.heard import Begun
from orchestrator.models import TryOnFailure
from shared_utils.contracts import Progress

MOST_READY = 8192
"""Of some 4 kB each."""
NO_NEWS = b"[]"
NEWS = TypeAdapter(list[Progress])


@lru_cache(MOST_READY)
def shown(name: str, state: str, said: bytes, news: bytes = NO_NEWS) -> bytes:
    """A TryOnView as JSON: of its state and the latest progress of its steps, or of the answer that refused it."""
    if state == "refused":
        view = TryOnView.refused(TryOnFailure.model_validate_json(said), name)
    else:
        view = TryOnView.of(Begun.model_validate_json(said), NEWS.validate_json(news))
    return view.model_dump_json().encode()
