"""What a request to vtryon_news asks, and its answer."""

from shared_utils.contracts import Failure
from shared_utils.errors import InvalidRequestError
from shared_utils.transports.triton.arrays import Arrays, identifier, texts, value_of
from shared_utils.transports.triton.news_folder import NewsFolder


def news_of(news: NewsFolder, inputs: Arrays) -> Arrays | Failure:
    """The steps of a call from `after` on. With `stop` it is to end."""
    try:
        call = _call(inputs)
        if value_of(inputs, "stop", False):
            news.stop(call)
        return {"steps": texts(news.steps(call, value_of(inputs, "after", 0)))}
    except InvalidRequestError as wrong:
        return Failure.of(wrong, "")


def _call(inputs: Arrays) -> str:
    call = identifier(value_of(inputs, "request_id"))
    if call is None:
        raise InvalidRequestError("request_id is missing, or can't be one. Give the id that the request was sent with.")
    return call
