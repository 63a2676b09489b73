"""Apache Kafka as a process: one node on this machine, from the jars that Maven fetches. Needs Java 17, no container.

For the tests, the benchmarks, and a developer's `vtryon kafka start`. Run by itself, with
`python -m shared_utils.transports.kafka.apache`, it only fetches the jars.
"""

import logging
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from shared_utils.children import ending_with_us
from shared_utils.errors import VtryonError
from shared_utils.ports import LOOPBACK, free_port, is_free
from shared_utils.settings import Settings, cache_dir, one_process_at_a_time
from shared_utils.telemetry.logs import start_logging

log = logging.getLogger("vtryon.kafka")

VERSION = "4.1.0"
POM = Path(__file__).with_name("pom.xml")
JAVA = 17
HOST = LOOPBACK
LOG = "kafka.log"
CONFIGURATION = "server.properties"

FETCH_SECONDS = 900
START_SECONDS = 60
STOP_SECONDS = 30

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "log.dirs": "topics",
    "auto.create.topics.enable": "false",
    # One node, and few partitions for what Kafka keeps for itself: each is two files to open at the start.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "8",
    # What died is noticed within seconds: a member of a group, a transaction, and this broker before a restart.
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}

JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true")


class ApacheKafkaError(VtryonError):
    """Apache Kafka could not be fetched or started on this machine."""

    code = "APACHE_KAFKA_FAILED"


def fetch_jars() -> Path:
    """The folder with Kafka's jars; fetched into the cache, about 43 MB, if they are not there."""
    jars = cache_dir() / "kafka" / VERSION
    if jars.is_dir():
        return jars
    try:
        jars.parent.mkdir(parents=True, exist_ok=True)
    except OSError as denied:
        raise ApacheKafkaError(
            f"The cache folder {jars.parent} can't be made: {denied.strerror}. "
            "Set VTRYON_CACHE to one you can write to."
        ) from denied
    with one_process_at_a_time(jars.parent / ".lock"):
        if not jars.is_dir():
            log.info("fetching Apache Kafka %s with Maven, about 43 MB", VERSION)
            with tempfile.TemporaryDirectory(dir=jars.parent, prefix=".incoming-") as incoming:
                _copy_dependencies(Path(incoming) / "jars")
                (Path(incoming) / "jars").rename(jars)
            log.info("Apache Kafka %s is at %s", VERSION, jars)
    return jars


def _copy_dependencies(target: Path) -> None:
    find_java()
    maven = shutil.which("mvn")
    if maven is None:
        raise ApacheKafkaError("Maven is missing: install it (on Debian or Ubuntu: apt install maven) and try again.")
    command = [maven, "-q", "-B", "-Dstyle.color=never", "--strict-checksums", "-f", str(POM)]
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    try:
        subprocess.run([*command, *goal], check=True, timeout=FETCH_SECONDS, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        reason = f"Maven took longer than {FETCH_SECONDS} seconds"
    except subprocess.CalledProcessError as failed:
        said = [line for line in failed.stdout.splitlines() if line.startswith("[ERROR]")]
        reason = said[0].removeprefix("[ERROR]").strip() if said else f"mvn ended with {failed.returncode}"
    else:
        return
    raise ApacheKafkaError(
        f"Apache Kafka {VERSION} could not be fetched: {reason}. Check the network, or Maven's settings for proxies "
        "and mirrors (~/.m2/settings.xml), and try again."
    )


def find_java() -> str:
    """The java to use: of JAVA_HOME, else the one on the PATH. Fails if it is too old for Kafka."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    advice = f"Apache Kafka needs Java {JAVA} or newer: install it (with apt: openjdk-{JAVA}-jre-headless)"
    if java is None:
        where = f"in JAVA_HOME={home}" if home else "on the PATH"
        raise ApacheKafkaError(f"There is no java {where}. {advice}, or set JAVA_HOME.")
    asked = subprocess.run([java, "-version"], check=False, timeout=60, capture_output=True, text=True)
    version = re.search(r'version "(?:1\.)?(\d+)', asked.stderr)
    if version is None or int(version[1]) < JAVA:
        found = f"is Java {version[1]}" if version else "does not tell its version"
        raise ApacheKafkaError(f"{java} {found}. {advice}, or set JAVA_HOME to where it is.")
    return java


class ApacheKafka:
    """One node that is broker and controller, and listens on this machine only. What it stores survives it.

    `properties` go before those of this module. With `dies_with_parent` it ends with the thread that started it (on
    Linux); without, it goes on when this process ends.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        controller_port: int | None = None,
        properties: Mapping[str, str] | None = None,
        dies_with_parent: bool = False,
    ) -> None:
        self.data = data.resolve()
        self.port = port or free_port()
        self.controller_port = controller_port or free_port()
        self.bootstrap = f"{HOST}:{self.port}"
        self.log_file = self.data / LOG
        self._properties = PROPERTIES | self._listeners() | dict(properties or {})
        self._dies_with_parent = dies_with_parent
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers. What was stored before is there again."""
        if running(self.data) is not None:
            raise ApacheKafkaError(f"A Kafka runs already on {self.data}. Stop it, or take another folder.")
        self.kill()  # if it died by itself, its process is still to be taken leave of
        java = [find_java(), *JVM, "-Dlog4j2.level=WARN", "-cp", str(fetch_jars() / "*")]
        for port in (self.port, self.controller_port):
            if not is_free(port):
                raise ApacheKafkaError(
                    f"Port {port} can't be had: another program has it, or it is reserved. Take another."
                )
        self.data.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}\n" for name, value in self._properties.items()]
        (self.data / CONFIGURATION).write_text("".join(lines))
        cluster = self._format(java)
        self._process = self._spawn([*java, "kafka.Kafka", str(self.data / CONFIGURATION)])
        _pid_file(self.data).write_text(f"{self._process.pid}\n")
        try:
            self._wait_until_it_answers(cluster)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Let it end in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would. `start` takes up its data again, on the same port."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        _pid_file(self.data).unlink(missing_ok=True)

    def _listeners(self) -> dict[str, str]:
        broker, controller = f"PLAINTEXT://{self.bootstrap}", f"CONTROLLER://{HOST}:{self.controller_port}"
        return {
            "listeners": f"{broker},{controller}",
            "advertised.listeners": broker,
            "controller.quorum.voters": f"1@{HOST}:{self.controller_port}",
        }

    def _format(self, java: list[str]) -> str:
        """Prepare the folder if it is new; the cluster's id, which tells this broker from any other."""
        meta = self.data / "topics" / "meta.properties"
        if not meta.is_file():
            storage = ["kafka.tools.StorageTool", "format", "--cluster-id", uuid.uuid4().hex, "--config", CONFIGURATION]
            made = subprocess.run([*java, *storage], check=False, cwd=self.data, capture_output=True, text=True)
            if made.returncode != 0:
                raise ApacheKafkaError(
                    f"{self.data} could not be prepared for Kafka: {_tail(made.stderr or made.stdout)}"
                )
        found = re.search(r"^cluster\.id=(\S+)", meta.read_text(), re.MULTILINE)
        if found is None:
            raise ApacheKafkaError(f"{meta} is damaged: remove the folder {self.data}, and what was stored with it.")
        return found[1]

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        if self._dies_with_parent:
            command = ending_with_us(command)
        with self.log_file.open("ab") as written:
            return subprocess.Popen(
                command,
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_it_answers(self, cluster: str) -> None:
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
        deadline = time.monotonic() + START_SECONDS
        while self._process is not None and self._process.poll() is None:
            try:
                answer = client.list_topics(timeout=1)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise self._failure(f"did not answer within {START_SECONDS} seconds") from None
                continue
            if answer.cluster_id != cluster:
                raise self._failure(f"is not what answers on {self.bootstrap}: another Kafka does")
            if answer.brokers:
                return
        raise self._failure("ended while it started")

    def _failure(self, what: str) -> ApacheKafkaError:
        with self.log_file.open(errors="replace") as lines:
            return ApacheKafkaError(f"Apache Kafka {what}. The end of {self.log_file}:\n{_tail(lines)}")


def running(data: Path) -> int | None:
    """The process that runs on this folder, if one does: by its pid file, and by what that process really is."""
    try:
        pid = int(_pid_file(data).read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    ours = {b"kafka.Kafka", os.fsencode(data.resolve() / CONFIGURATION)}
    return pid if ours <= set(arguments) else None


def address(data: Path) -> str:
    """Where the Kafka of this folder listens."""
    found = re.search(r"^advertised\.listeners=PLAINTEXT://([^,\s]+)", (data / CONFIGURATION).read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def end_running(data: Path) -> bool:
    """End the process that runs on this folder, in good order; False if none does."""
    pid = running(data)
    if pid is None:
        return False
    try:
        # A handle on the process, not on its number, which may be another's by now.
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if running(data) != pid:
            return False
        for how in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, how)
            if select.select([handle], [], [], STOP_SECONDS)[0]:
                break
    finally:
        os.close(handle)
    _pid_file(data).unlink(missing_ok=True)
    return True


def _pid_file(data: Path) -> Path:
    return data / "kafka.pid"


def _tail(lines: str | Iterator[str]) -> str:
    return "\n".join(
        line.rstrip() for line in deque(lines.splitlines() if isinstance(lines, str) else lines, maxlen=20)
    )


def main() -> None:
    """Make sure that the jars are there and print where."""
    settings = Settings.read()
    start_logging(settings.log_level, settings.log_format)
    try:
        print(fetch_jars())  # noqa: T201
    except ApacheKafkaError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
