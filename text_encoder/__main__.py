"""`python -m text_encoder`"""

import sys

from text_encoder.main import main

sys.exit(main())
