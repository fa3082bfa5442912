"""A lock file installs unchanged after newer releases: `make` with an index that has a newer version of a locked package."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def publish(index: Path, name: str, version: str, *facts: str) -> str:
    """Add a wheel with one module to the index; return its line for a lock file."""
    page, info = index / name, f"{name}-{version}.dist-info"
    page.mkdir(parents=True, exist_ok=True)
    metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *facts, ""])
    files = {f"{name}.py": f"version = {version!r}\n", f"{info}/METADATA": metadata, f"{info}/WHEEL": WHEEL}
    sums = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=") for path, text in files.items()}
    rows = [f"{path},sha256={sums[path].decode()},{len(text.encode())}\n" for path, text in files.items()]
    wheel = page / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in (files | {f"{info}/RECORD": f"{''.join(rows)}{info}/RECORD,,\n"}).items():
            archive.writestr(path, text)
    links = [f'<a href="{file.name}">{file.name}</a><br>' for file in sorted(page.glob("*.whl"))]
    (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Provide the project's Makefile with a lock file of a package and of a dependency from its extra."""
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def make(checkout: Path, target: str, *tools: str) -> subprocess.CompletedProcess[str]:
    """Run `make` as on a new machine: without pip settings except the index, and with only these tools on the path."""
    shelf = checkout / "bin"
    shelf.mkdir(exist_ok=True)
    for tool in (sys.executable, *map(shutil.which, ("env", "touch", "sh", "make", *tools))):
        assert tool is not None
        (shelf / Path(tool).name).unlink(missing_ok=True)
        (shelf / Path(tool).name).symlink_to(tool)
    index = (checkout / "index").as_uri()
    env = {"PATH": str(shelf), "HOME": str(checkout), "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index}
    command = ["make", f"PYTHON={sys._base_executable}", target]  # type: ignore[attr-defined]
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, timeout=300)


def test_a_newer_release_of_a_locked_package_changes_nothing(checkout: Path) -> None:
    index, extra = checkout / "index", ("Provides-Extra: more",)
    lock = publish(index, "outer", "1.0", "Requires-Dist: inner[more]") + publish(index, "inner", "1.0", *extra)
    publish(index, "inner", "2.0", *extra)
    (checkout / "requirements" / "base.lock").write_text(lock)
    done = make(checkout, ".venv/.base")
    assert done.returncode == 0, done.stderr
    versions = "import outer, inner; print(outer.version, inner.version)"
    said = subprocess.run([checkout / ".venv/bin/python", "-c", versions], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["1.0", "1.0"]
    assert make(checkout, ".venv/.base").stdout.strip().endswith("up to date.")


def test_a_lock_that_names_too_little_is_refused_by_name(checkout: Path) -> None:
    index = checkout / "index"
    (checkout / "requirements" / "base.lock").write_text(publish(index, "outer", "1.0", "Requires-Dist: inner"))
    done = make(checkout, ".venv/.base")
    assert done.returncode != 0
    assert "outer 1.0 requires inner, which is not installed" in done.stderr


def test_the_lock_of_the_tests_names_all_that_the_product_runs_with() -> None:
    base, dev = (
        set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / name).read_text(), re.M)) for name in ("base.lock", "dev.lock")
    )
    assert len(base) > 50
    assert base <= dev


@pytest.mark.parametrize("name", ["base", "dev", "peers"])
def test_the_locks_name_no_place(name: str) -> None:
    assert "://" not in (ROOT / "requirements" / f"{name}.lock").read_text()
