"""Stand-ins for the images that others publish, where no registry can be reached: made from Debian's packages, and of
Kafka's jars. For `make test-images`.
"""

import os
import shutil
import subprocess
from pathlib import Path

from docker_engine import Docker, MissingError

from shared_utils.transports.kafka.apache import VERSION as KAFKA
from shared_utils.transports.kafka.apache import fetch_jars

ROOT = Path(__file__).resolve().parent.parent
KAFKA_SOURCE = ROOT / "tests" / "images" / "kafka"
DEBIAN = "trixie"
PACKAGES = "ca-certificates,python3,python3-venv"
CERTIFICATES = Path("/usr/local/share/ca-certificates")
SECONDS = 1800


def make_base(docker: Docker, work: Path, name: str) -> None:
    """Debian with Python. It trusts whom this machine trusts: a network may have a certificate of its own."""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise MissingError(
            "No registry can be reached, and a stand-in for the base images needs debootstrap (Debian, Ubuntu: package "
            "debootstrap), run as root. Or name an image that the engine has: BASE_IMAGE=... make test-images"
        )
    root = work / "root"
    print(f"== no registry can be reached: making a base image of Debian {DEBIAN}, a minute or two", flush=True)
    log = work / "debootstrap.log"
    with log.open("w") as said:
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, str(root)]
        if subprocess.run(command, check=False, stdout=said, stderr=said, timeout=SECONDS).returncode != 0:
            raise MissingError(f"debootstrap failed: see {log}")
        for certificate in CERTIFICATES.glob("*.crt"):
            shutil.copy(certificate, root / CERTIFICATES.relative_to("/"))
        subprocess.run(["chroot", str(root), "update-ca-certificates"], check=True, stdout=said, stderr=said)
    for unneeded in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / unneeded)
        (root / unneeded).mkdir()
    archive = work / "root.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True, timeout=SECONDS)
    docker("import", str(archive), name)
    shutil.rmtree(root)
    archive.unlink()


def make_kafka(docker: Docker, work: Path, base: str, name: str) -> None:
    """Kafka, told what to do by the variables that the image apache/kafka reads."""
    print(f"== no registry can be reached: making an image of Apache Kafka {KAFKA} from its jars", flush=True)
    context = work / "kafka"
    shutil.copytree(KAFKA_SOURCE, context)
    shutil.copytree(fetch_jars(), context / "libs")
    docker("build", "--quiet", "--build-arg", f"BASE_IMAGE={base}", "--tag", name, str(context), seconds=SECONDS)
    shutil.rmtree(context)
