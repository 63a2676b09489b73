"""`python -m latent_encoder`"""

from latent_encoder.main import main
from shared_utils.ending import leave

leave(main())
