"""The vendors the studio can play: a file and a row or more each."""

from genqueue_site.studio.dialects import fal, fal_platform, openai_videos
from genqueue_site.studio.wire import Dialect

# the first row whose prefix fits takes the call
DIALECTS: tuple[Dialect, ...] = (openai_videos.DIALECT, fal.FILES, fal_platform.DIALECT, fal.QUEUE)
