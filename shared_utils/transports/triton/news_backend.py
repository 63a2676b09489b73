"""What Triton runs for the model vtryon_news: how far a request is, and the word that stops it. Needs no PyTorch, so
it is also the one that watches over the others."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared_utils.settings import Settings
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.triton.news_asked import news_of
from shared_utils.transports.triton.news_folder import NewsFolder, left, server_folder
from shared_utils.transports.triton.stub import inputs_of, response_of
from shared_utils.transports.triton.watch import Watch, this_server


class TritonPythonModel:
    def initialize(self, args: Mapping[str, str]) -> None:
        settings = Settings.read()
        start_logging(settings.log_level, settings.log_format)
        self._folder = server_folder() / "news"
        self._news = NewsFolder(self._folder)
        self._watch = Watch(server_folder() / "alive", this_server())
        self._watch.start()

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [response_of(news_of(self._news, inputs_of(request))) for request in requests]

    def finalize(self) -> None:
        self._watch.end()
        left(self._folder)
