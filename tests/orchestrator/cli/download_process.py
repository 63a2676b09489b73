"""`vtryon` as a process of its own whose workflow is one small file: its first argument, before the command's."""

import json
import sys

from orchestrator.cli.main import main
from shared_utils.downloads import files

if __name__ == "__main__":
    files.WORKFLOW = (files.ModelFile(**json.loads(sys.argv[1])),)
    sys.exit(main(sys.argv[2:]))
