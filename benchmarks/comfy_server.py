"""ComfyUI's stock server, as `python main.py` starts it, in folders of its own and on this machine's loopback only."""

import json
import os
import shutil
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy_packages
from processes import ROOT, Child, python
from server_news import News
from workflow import SAVED

from shared_utils.ports import LOOPBACK, free_port

START_SECONDS = 300.0
SECONDS = 1800.0
"""Without any news of a prompt."""
CUSTOM_NODE = Path(__file__).resolve().parent / "vtryon_sizes"
FOLDERS = ("custom_nodes", "input", "output", "temp", "user", "web")


@dataclass(frozen=True)
class Finished:
    """What became of a prompt."""

    picture: Path
    executing_ms: float
    """From its beginning to its end, as the server itself noted."""


class ComfyServer:
    """One that answers; ended by its process id when this is left."""

    def __init__(self, folder: Path, tree: Path, models: Path, flags: list[str], environment: dict[str, str]) -> None:
        self._folder = folder
        self._port = free_port()
        self._client = uuid.uuid4().hex
        self.child = Child(
            "comfyui",
            python(str(tree / "main.py"), *_flags(folder, models, self._port), *flags),
            environment | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(comfy_packages.fetch())))},
            folder / "comfyui.log",
        )
        self._news: News

    def start(self) -> None:
        """Come back when it answers."""
        for name in FOLDERS:
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "web" / "index.html").touch()
        shutil.copytree(CUSTOM_NODE, self._folder / "custom_nodes" / CUSTOM_NODE.name, dirs_exist_ok=True)
        self.child.start()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._news = News(self._port, self._client, SECONDS)
            except ConnectionError:
                if self.child.ended() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"ComfyUI's server did not start:\n{self._last_words()}") from None
                time.sleep(0.2)
            else:
                self._news.next()  # its greeting: from now on it knows whom to tell
                return

    def stop(self) -> None:
        if hasattr(self, "_news"):
            self._news.close()
        self.child.stop()

    def take_in(self, picture: Path) -> str:
        """Put a picture where the server looks for them; the name that it has there."""
        name = f"{picture.stem}{picture.suffix}"
        shutil.copyfile(picture, self._folder / "input" / name)
        return name

    def submit(self, prompt: dict[str, Any]) -> str:
        """The id of a prompt that now waits for its turn."""
        answer: dict[str, Any] = self._asked("/prompt", {"prompt": prompt, "client_id": self._client})
        return str(answer["prompt_id"])

    def finished(self) -> Iterator[str]:
        """The id of each prompt as soon as it has ended, whether well or not."""
        while True:
            news = self._news.next()
            if news["type"] == "executing" and news["data"]["node"] is None:
                yield str(news["data"]["prompt_id"])

    def result(self, prompt: str) -> Finished:
        history: dict[str, Any] = self._asked(f"/history/{prompt}")[prompt]
        told = dict(history["status"]["messages"])
        if history["status"]["status_str"] != "success":
            raise RuntimeError(f"ComfyUI's server failed: {told.get('execution_error') or history['status']}")
        (saved,) = history["outputs"][SAVED]["images"]
        milliseconds = told["execution_success"]["timestamp"] - told["execution_start"]["timestamp"]
        return Finished(self._folder / "output" / saved["subfolder"] / saved["filename"], milliseconds)

    def gpu_mb(self) -> dict[str, float]:
        """What its PyTorch holds of the GPU's memory."""
        (device, *_) = self._asked("/system_stats")["devices"]
        return {} if device["type"] == "cpu" else {"comfyui": device["torch_vram_total"] / 1024**2}

    def _asked(self, path: str, content: dict[str, Any] | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self._port}{path}", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise RuntimeError(f"ComfyUI's server refused {path}: {refused.read().decode()[:2000]}") from None

    def _last_words(self) -> str:
        log = self._folder / "comfyui.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else "It said nothing."


def _flags(folder: Path, models: Path, port: int) -> list[str]:
    """As it is out of the box, less what wants a network, a browser or the user's own folders."""
    listening = ["--listen", LOOPBACK, "--port", str(port)]
    folders = ["--base-directory", str(folder), "--models-directory", str(models)]
    no_front_end = ["--front-end-root", str(folder / "web"), "--user-directory", str(folder / "user")]
    quiet = ["--database-url", "sqlite:///:memory:", "--disable-api-nodes", "--disable-metadata"]
    nodes = ["--disable-all-custom-nodes", "--whitelist-custom-nodes", CUSTOM_NODE.name]
    return [*listening, *folders, *no_front_end, *quiet, *nodes]
