"""`python -m sampling`"""

from sampling.main import main
from shared_utils.ending import leave

leave(main())
