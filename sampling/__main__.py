"""`python -m sampling`"""

import sys

from sampling.main import main

sys.exit(main())
