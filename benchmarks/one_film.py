"""
The studio with one film for all jobs, rendered before it listens: jobs take their time but no processor time, as with a provider
that renders on its own machines.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from genqueue_site.studio import floor, server
from genqueue_site.studio.jobs import Recipe
from genqueue_site.studio.rendering import Rendering

RECIPE = Recipe(prompt="A kite over the bay", model="sora-2", seed=7, width=1280, height=720, seconds=4.0, codec="vp9")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="gq-film-") as folder:
        Rendering().run(RECIPE, Path(folder))

        class Copying(Rendering):
            def run(self, recipe: Recipe, into: Path) -> None:
                shutil.copytree(folder, into, dirs_exist_ok=True)

        vars(floor)["Rendering"] = Copying
        return server.main()


if __name__ == "__main__":
    sys.exit(main())
