"""The programs of docs/api.md, run as a reader would: as they are, against an installation that works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/api.md"
# for a machine without curl: the few options that the manual uses
CURL = """#!{python}
import getopt, sys, requests
options, (address,) = getopt.gnu_getopt(sys.argv[1:], "sSH:d:o:")
headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
given = dict(options)
answer = requests.request("POST" if "-d" in given else "GET", address, headers=headers, data=given.get("-d"), timeout=90)
with open(given.get("-o", "/dev/stdout"), "wb") as file:
    file.write(answer.content)
"""


def blocks(language: str) -> list[str]:
    """Return the programs of “Four ways to work” in a language, in order."""
    section = PAGE.read_text().partition("## Four ways to work\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)


def run(folder: Path, *, url: str, key: str, port: int) -> str:
    """
    Run all programs in a folder, where they leave their files. Return what they print.

    :raises subprocess.CalledProcessError: one of them failed; its errors go to ours.
    """
    env = {"PATH": os.environ["PATH"], "GENQUEUE_URL": url, "GENQUEUE_KEY": key, "MY_SERVER": f"http://127.0.0.1:{port}"}
    env["PORT"] = str(port)
    if not shutil.which("curl"):
        (folder / "curl").write_text(CURL.format(python=sys.executable))
        (folder / "curl").chmod(0o755)
        env["PATH"] = f"{folder}:{env['PATH']}"
    _, *shell = blocks("sh")  # the first one says where the key comes from
    for command in (["sh", "-euc", "\n".join(shell)], [sys.executable, "-c", "\n".join(blocks("python"))]):
        done = subprocess.run(command, cwd=folder, env=env, check=True, timeout=180, stdout=subprocess.PIPE, text=True)
    return done.stdout
