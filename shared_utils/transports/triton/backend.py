"""What Triton runs for a model that hosts stages: its model.py imports TritonPythonModel from here."""

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from shared_utils.comfy.loader import Models
from shared_utils.settings import Settings
from shared_utils.stage import Stage
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.triton.hosted import Asked, Hosted
from shared_utils.transports.triton.news_folder import NewsFolder, left, server_folder
from shared_utils.transports.triton.stub import inputs_of, parameters_of, response_of
from shared_utils.transports.triton.watch import Alive, this_server


class TritonPythonModel:
    """An instance of the model: a process that Triton starts, and that it hands one request at a time."""

    def initialize(self, args: Mapping[str, str]) -> None:
        settings = Settings.read()
        start_logging(settings.log_level, settings.log_format)
        self._given: dict[str, Any] = {}
        self._choose_gpu(args)
        server, instance = server_folder(), args["model_instance_name"]
        self._folder = _emptied(server / "requests" / instance)
        parameters = parameters_of(json.loads(args["model_config"]))
        stages = self.stages(parameters)
        if parameters.get("warm_up", "true") == "true":
            for stage in stages:
                stage.warm_up()
        self._hosted = Hosted(stages, NewsFolder(server / "news"), self._folder)
        self._alive = Alive(server / "alive", instance, this_server())

    def stages(self, parameters: Mapping[str, str]) -> Sequence[Stage]:
        """What is hosted, on shared models: the stages that the model's configuration names."""
        known = {each.name: each for each in entry_points(group="vtryon.stages")}
        kinds: list[Any] = [known[name].load() for name in parameters["stages"].split(",")]
        settings = [self._with_folder(kind.options_type.read(**self._given, **_limit(parameters))) for kind in kinds]
        models = Models(settings[0])
        return [kind(options, models) for kind, options in zip(kinds, settings, strict=True)]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [response_of(self._hosted.answer(_asked(request))) for request in requests]

    def finalize(self) -> None:
        self._alive.end()
        left(self._folder)

    def _choose_gpu(self, args: Mapping[str, str]) -> None:
        """The one that Triton gave this instance, if it gives any."""
        if args["model_instance_kind"] == "GPU":
            # Triton's numbers are those that CUDA has in the server. Hiding the others would come too late: the process
            # may know them all by now.
            import_module("torch").cuda.set_device(int(args["model_instance_device_id"]))
            self._given["comfyui_device"] = "auto"

    def _with_folder(self, options: Settings) -> Settings:
        """What comes as data is put into files, which must be inside the storage if there are bounds to it."""
        roots = options.storage_roots
        return options.model_copy(update={"storage_roots": [*roots, self._folder] if roots else []})


def _asked(request: Any) -> Asked:
    return Asked(inputs_of(request), request.requested_output_names(), request.request_id(), request.is_cancelled)


def _limit(parameters: Mapping[str, str]) -> dict[str, float]:
    return {"model_memory_gb": float(parameters["model_memory_gb"])} if "model_memory_gb" in parameters else {}


def _emptied(folder: Path) -> Path:
    """The folder without what the process before this one left there when it was killed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
