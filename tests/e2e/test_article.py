"""The mission's own scenario: the article's configuration (addresses and paths adapted), the Go filter built from its text."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from harness.load import Load
from harness.proxy import ROOT, Proxy
from harness.wire import get

TOKEN = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJvcmRlci1zZXJ2aWNlIn0."


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """The filter as it is, and one that says something else."""
    build = ROOT / "examples/article/build.sh"
    first = ROOT / "build/examples/article/optimized.wasm"
    subprocess.run([build, first], check=True)
    changed = tmp_path_factory.mktemp("changed")
    subprocess.run(["cp", "-r", ROOT / "examples/article", changed / "article"], check=True)
    source = changed / "article/filter/main.go"
    source.write_text(source.read_text().replace("hello from wasm", "hello again"))
    go = subprocess.run([ROOT / "scripts/toolchain.sh", "go"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([changed / "article/build.sh", changed / "optimized.wasm"], check=True, env={**os.environ, "GO": go})
    return first, changed / "optimized.wasm"


def start(modules, tmp_path, concurrency=2):
    service = Proxy((ROOT / "examples/article/service.yaml").read_text().replace("port_value: 8080", "port_value: 0"))
    module = tmp_path / "optimized.wasm"
    module.write_bytes(modules[0].read_bytes())
    text = (ROOT / "examples/article/envoy.yaml").read_text()
    text = text.replace("port_value: 8080", f"port_value: {service.port}").replace("port_value: 9901", "port_value: 0")
    text = text.replace("port_value: 10000", "port_value: 0").replace("0.0.0.0", "127.0.0.1")
    text = text.replace("build/examples/article/optimized.wasm", str(module)).replace("/tmp/admin_access.log", str(tmp_path / "admin.log"))
    return service, Proxy(text, concurrency=concurrency), module


def wait_for_token(port, timeout=25):
    end = time.monotonic() + timeout
    answer = get(port)
    while time.monotonic() < end and answer.get("x-auth") != TOKEN:
        time.sleep(0.2)
        answer = get(port)
    return answer


def test_article(modules, tmp_path):
    service, proxy, module = start(modules, tmp_path)
    try:
        answer = get(proxy.port)
        assert answer.status == 200 and answer.body == b"hello from the service\n"
        assert answer.get("x-wasm-filter") == "hello from wasm" and answer.get("x-auth") == ""
        time.sleep(15.5)
        for _ in range(40):  # both workers
            answer = wait_for_token(proxy.port, 5)
            assert answer.get("x-wasm-filter") == "hello from wasm" and answer.get("x-auth") == TOKEN
        output = proxy.output()
        assert "set tick period milliseconds: 15000" in output
        load = Load(proxy.port, 8)
        time.sleep(1)
        module.write_bytes(Path(modules[1]).read_bytes())
        assert proxy.reload()
        requests, errors, other = load.finish()
        assert requests > 200 and errors == 0 and other == 0
        for _ in range(20):
            assert get(proxy.port).get("x-wasm-filter") == "hello again"
        assert (tmp_path / "admin.log").read_text()
    finally:
        assert proxy.stop() == 0
        assert service.stop() == 0


def test_mission_file_validates(modules):
    """The file as the article has it, but for the path of the module: a warning tells the modern way of the router."""
    done = subprocess.run([os.environ.get("WEIR_BIN", ROOT / "build/weir"), "-c", "examples/article/envoy.yaml", "--mode", "validate"], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0 and "configuration 'examples/article/envoy.yaml' OK" in done.stdout
    assert "envoy.extensions.filters.http.router.v3.Router" in done.stderr
