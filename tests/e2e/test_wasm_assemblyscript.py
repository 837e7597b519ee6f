"""A filter of the AssemblyScript SDK (tests/guests/assemblyscript): start section, malloc, a factory chosen by root_id."""

import shutil
import subprocess

import pytest

from harness.proxy import ROOT
from harness.wire import get

CONFIG = """
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: "/"}, direct_response: {status: 200, body: {inline_string: "fine"}}}]}]
          http_filters:
          - name: envoy.filters.http.wasm
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: greeter
                root_id: ROOT_ID
                configuration: {"@type": type.googleapis.com/google.protobuf.BytesValue, value: d29ybGQ=}
                vm_config: {code: {local: {filename: "MODULE"}}}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"""


@pytest.fixture(scope="module")
def module():
    npm = subprocess.run([ROOT / "scripts/toolchain.sh", "npm"], check=True, capture_output=True, text=True).stdout.strip()
    work = ROOT / "build/guests/assemblyscript"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(ROOT / "tests/guests/assemblyscript", work, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run([npm, "ci", "--no-audit", "--no-fund"], check=True, cwd=work)
    command = [npm, "exec", "--", "asc", "assembly/index.ts", "-b", "greeter.wasm", "-O3", "--use", "abort=abort_proc_exit"]
    subprocess.run(command, check=True, cwd=work)
    return work / "greeter.wasm"


def test_greets(weir, module):
    proxy = weir(CONFIG.replace("MODULE", str(module)).replace("ROOT_ID", "greeter_root"))
    for _ in range(1000):
        answer = get(proxy.port, path="/abc")
    assert answer.status == 200 and answer.get("x-greeting") == "hello, world"
    assert "path is /abc" in proxy.output() and proxy.stat("wasm.greeter.vm_reload") == 0
