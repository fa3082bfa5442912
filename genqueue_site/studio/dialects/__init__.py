"""The vendors the studio can play: one file and one row each."""

from genqueue_site.studio.dialects import openai_videos
from genqueue_site.studio.wire import Dialect

# the first row whose prefix fits takes the call
DIALECTS: tuple[Dialect, ...] = (openai_videos.DIALECT,)
