"""``python -m genqueue_site.studio``: run the studio without Django."""

import sys

from genqueue_site.studio.server import main

sys.exit(main())
