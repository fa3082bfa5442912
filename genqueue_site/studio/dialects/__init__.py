"""The vendors the studio can play: one module and one row each."""

from genqueue_site.studio.dialects import fal, openai_videos, openrouter, replicate
from genqueue_site.studio.wire import Dialect

# the first row with a call of that path takes it
DIALECTS: tuple[Dialect, ...] = (openai_videos.DIALECT, replicate.DIALECT, openrouter.DIALECT, fal.PLATFORM, fal.DIALECT)
