"""The API dialects that the studio simulates: one file and one row each."""

from genqueue_site.studio.dialects import openai_videos
from genqueue_site.studio.wire import Dialect

# a call goes to the first row whose prefix matches
DIALECTS: tuple[Dialect, ...] = (openai_videos.DIALECT,)
