"""`python -m text_encoder`"""

from shared_utils.ending import leave
from text_encoder.main import main

leave(main())
