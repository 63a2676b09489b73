"""scripts/monolith.py in a process that stays: a job a line on standard input, its answer a line on standard output.

The models are loaded with the first job and kept. Nothing else is: every job is done from its beginning.
"""

import json
import os
import sys
import time
from pathlib import Path

import monolith

from shared_utils.settings import Settings


def main() -> int:
    # What ComfyUI prints goes where its log goes.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    settings = Settings.read()
    loaded: monolith.Loaded | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        person, garment, output = (Path(asked.pop(name)) for name in ("person", "garment", "output"))
        job = monolith.TryOn(person, garment, output, **asked)
        loaded = loaded or monolith.load_models(job, settings)
        began = time.perf_counter()
        monolith.run(job, settings, loaded)
        answer = {"image": str(job.output / "image.png"), "ms": (time.perf_counter() - began) * 1000}
        answers.write(json.dumps(answer) + "\n")
        for tensors in job.output.glob("*.pt"):  # of many try-ons they would fill the disk
            tensors.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
