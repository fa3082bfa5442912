"""``python -m queue_app.studio``: the studio without Django."""

import sys

from queue_app.studio.server import main

sys.exit(main())
