"""`python -m decoding`"""

from decoding.main import main
from shared_utils.ending import leave

leave(main())
