"""`python -m decoding`"""

import sys

from decoding.main import main

sys.exit(main())
