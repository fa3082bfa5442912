"""The jobs of a storm: one model for each adapter, and the limits that it must keep."""

from typing import Any, NamedTuple


class Lane(NamedTuple):
    """
    A model that only this account serves, the parameters of its jobs, and how many may run at once: of the model and of the
    account. ``synchronous``: each create call takes a worker of long calls.
    """

    account: str
    model: str
    parameters: dict[str, Any]
    of_model: int
    of_account: int
    synchronous: bool = False

    @property
    def at_once(self) -> int:
        return min(self.of_model, self.of_account)


# An account's key is also the name of its dialect in the studio's log. In some lanes the model's limit is the narrower one, in
# others the account's. Lost calls of synchronous providers keep their slots, so there the long workers are the narrowest.
LANES = (
    Lane("openai_videos", "sora-2", {"duration": 4}, of_model=4, of_account=6),
    Lane("fal", "nano-banana-pro", {"resolution": "1K"}, of_model=6, of_account=3),
    Lane("replicate", "flux-2-pro", {"resolution": "1K"}, of_model=3, of_account=5),
    Lane("openrouter", "seedance-2.0", {"duration": 4, "resolution": "480p"}, of_model=5, of_account=4),
    Lane("openai_images", "gpt-image-2", {"quality": "low", "resolution": "1K"}, of_model=8, of_account=8, synchronous=True),
    Lane("chat", "text-writer", {}, of_model=8, of_account=8, synchronous=True),
)
LONG_WORKERS = 3
TIMEOUT_SECONDS = 240  # of each model; a lost call holds its slot so long, and Replicate may begin its task as late
