"""The API dialects that the studio simulates: one module and one row each."""

from genqueue_site.studio.dialects import chat, fal, openai_images, openai_videos, openrouter, replicate
from genqueue_site.studio.wire import Dialect

# a call goes to the first row that has a call with its path
DIALECTS: tuple[Dialect, ...] = (
    openai_videos.DIALECT,
    openai_images.DIALECT,
    chat.DIALECT,
    replicate.DIALECT,
    openrouter.DIALECT,
    fal.PLATFORM,
    fal.DIALECT,
)
