"""A real schema registry for the tests: Apicurio Registry, which speaks the API of Confluent's, from Maven Central.

It keeps everything in memory. Needs Java 17 and Maven; the first time about 109 MB are fetched into the cache.
"""

import fcntl
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from confluent_kafka.schema_registry import SchemaRegistryClient

from shared_utils.children import ending_with_us
from shared_utils.settings import cache_dir
from shared_utils.transports.kafka.apache import HOST, find_java

POM = Path(__file__).with_name("registry.pom.xml")
VERSION: str = re.findall(r"<version>(.+)</version>", POM.read_text(encoding="utf-8"))[-1]
API = "/apis/ccompat/v7"
FETCH_SECONDS, START_SECONDS, STOP_SECONDS = 900, 120, 30
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true")


def fetch() -> Path:
    """The folder that it is unpacked in."""
    folder = cache_dir() / "registry" / VERSION
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as incoming:
                unpacked = Path(incoming) / "unpacked"
                command = ["mvn", "-q", "-B", "--strict-checksums", "-f", str(POM), "dependency:unpack-dependencies"]
                folders = [f"-DoutputDirectory={unpacked}", f"-DmarkersDirectory={incoming}/markers"]
                subprocess.run([*command, *folders], check=True, timeout=FETCH_SECONDS)
                unpacked.rename(folder)
    return folder


class Registry:
    """A registry on a free port of this machine, empty at first. It ends with this process."""

    def __init__(self, log: Path) -> None:
        self._log = log

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}{API}"

    def __enter__(self) -> Self:
        folder = fetch()
        options = [f"-Dquarkus.http.host={HOST}", "-Dquarkus.http.port=0"]
        java = [find_java(), *JVM, *options, "-jar", f"apicurio-registry-app-{VERSION}-runner.jar"]
        with self._log.open("wb") as written:
            self._process = subprocess.Popen(
                ending_with_us(java),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
            )
        try:
            self._port = self._wait_for_its_port()
            with SchemaRegistryClient({"url": self.url}) as client:
                client.get_subjects()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _wait_for_its_port(self) -> int:
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            told = re.search(rf"Listening on: http://{re.escape(HOST)}:(\d+)", self._log.read_text(errors="replace"))
            if told:
                return int(told[1])
            # Its log can't be waited for; its end can.
            try:
                self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        raise RuntimeError(f"The registry did not start:\n{self._log.read_text(errors='replace')[-4000:]}")

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
