"""`python -m latent_encoder`"""

import sys

from latent_encoder.main import main

sys.exit(main())
