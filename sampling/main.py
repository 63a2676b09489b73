"""The sampling service's way in: `python sampling/main.py --help`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts a script's own folder first on the path, where this service's models.py and errors.py would shadow
    # those of others. The folder above is the one that the packages are in.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from sampling.service import Sampling
from shared_utils.ending import leave
from shared_utils.serve import serve


def main() -> int:
    return serve(Sampling)


if __name__ == "__main__":
    leave(main())
