"""The HTTP/2 codec under h2spec: all of its cases, against the small server beside this file."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRESET = os.environ.get("WEIR_PRESET", "release")


def h2spec():
    """h2spec from the path, or made by Go in the user's cache; None where that fails."""
    found = shutil.which("h2spec")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "weir" / "h2spec-2.2.1"
    if found or (cache / "h2spec").is_file():
        return found or str(cache / "h2spec")
    go = subprocess.run([ROOT / "scripts/toolchain.sh", "go"], capture_output=True, text=True).stdout.strip()
    if not go:
        return None
    made = subprocess.run([go, "install", "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"],
                          env={**os.environ, "GOBIN": str(cache)}, capture_output=True, text=True)
    return str(cache / "h2spec") if made.returncode == 0 else None


@pytest.fixture
def server():
    subprocess.run(["cmake", "--build", "--preset", PRESET, "--target", "h2_server"], cwd=ROOT, check=True, capture_output=True)
    process = subprocess.Popen([ROOT / "build" / PRESET / "tests" / "conformance" / "h2_server", "0"], stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    assert process.poll() is None
    process.terminate()
    process.wait()


def test_every_case_of_h2spec(server):
    tool = h2spec()
    if not tool:
        pytest.skip("neither h2spec is here nor can Go make it")
    found = subprocess.run([tool, "-h", "127.0.0.1", "-p", server, "-o", "2"], capture_output=True, text=True, timeout=400)
    count = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", found.stdout)
    assert count and int(count[1]) == int(count[2]) >= 145, found.stdout[-3000:]
