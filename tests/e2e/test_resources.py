"""What may run out: descriptors, ports, disks. A named error or a pause, a counter, no crash, and service when it is over."""

import os
import resource
import socket
import subprocess
import time
from pathlib import Path

import pytest

from harness.proxy import Failed, Proxy, cluster, http_config, run_validate, weir_binary
from harness.wire import Client, get

DIRECT = "- match: {prefix: /}\n  direct_response: {status: 200, body: {inline_string: ok}}\n"


def cpu_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_descriptors_used_up(weir):
    proxy = weir(http_config(DIRECT))
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    clients = []
    try:
        for _ in range(150):
            clients.append(Client(proxy.port))
        time.sleep(0.5)
        before = cpu_ticks(proxy.process.pid)
        time.sleep(1)
        assert cpu_ticks(proxy.process.pid) - before <= 15  # it waits, it does not spin
        assert proxy.admin("/ready")[0] == 200  # the admin has a descriptor in reserve
    finally:
        for client in clients:
            client.close()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            assert get(proxy.port).body == b"ok"
            break
        except (OSError, EOFError):
            time.sleep(0.1)
    else:
        raise AssertionError("no service after the connections were closed")


def test_port_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Failed) as failed:
            Proxy(http_config(DIRECT).replace("port_value: 0", f"port_value: {taken.getsockname()[1]}", 1))
        assert failed.value.status == 1
        assert f"cannot bind 127.0.0.1:{taken.getsockname()[1]}: the address is in use by another process" in failed.value.output


def test_another_weir_is_not_shared_in_silence(weir):
    first = weir(http_config(DIRECT))
    with pytest.raises(Failed) as failed:
        Proxy(http_config(DIRECT).replace("port_value: 0", f"port_value: {first.port}", 1))
    assert "in use" in failed.value.output


LOG = """
access_log:
- name: envoy.access_loggers.file
  typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: %s}
"""


def test_full_disk(weir):
    proxy = weir(http_config(DIRECT, hcm=LOG % "/dev/full"))
    for _ in range(50):
        assert get(proxy.port).status == 200
    end = time.monotonic() + 5
    while time.monotonic() < end and not proxy.stat("filesystem.write_failed"):
        time.sleep(0.05)
    assert proxy.stat("filesystem.write_failed") > 0


def test_log_folder_missing():
    with pytest.raises(Failed) as failed:
        Proxy(http_config(DIRECT, hcm=LOG % "/nowhere/at/all.log"))
    assert failed.value.status == 1 and "/nowhere/at/all.log" in failed.value.output


def test_blocked_log_pipe(weir, tmp_path):
    """A pipe that nobody reads from: lines are dropped and counted, requests are served."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        proxy = weir(http_config(DIRECT, hcm=LOG % pipe))
        with Client(proxy.port) as client:
            for _ in range(3000):
                assert client.request().status == 200
        assert proxy.admin("/ready")[0] == 200
        proxy.stop()
    finally:
        os.close(reader)


def test_five_thousand_connections(weir):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n = min(5000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    proxy = weir(http_config(DIRECT))
    before = proxy.rss_kb()
    clients = []
    try:
        for _ in range(n):
            sock = socket.create_connection(("127.0.0.1", proxy.port))
            sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert sock.recv(4096)
            clients.append(sock)
        each = (proxy.rss_kb() - before) / n
        assert each < 4.0, f"an idle connection holds {each:.2f} KB"
    finally:
        for sock in clients:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    proxy.wait_stat("http.test.downstream_cx_active", 0)


MODULES = {
    "missing": (None, "No such file"),
    "empty": (b"", "is empty"),
    "text": (b"hello, this is not Wasm\n", "is no Wasm module"),
    "truncated": (b"\0asm\x01\0\0\0\x01\x05", None),
    "no-marker": (b"\0asm\x01\0\0\0", "is no Proxy-Wasm filter: it exports none of proxy_abi_version_0_1_0"),
}


@pytest.mark.parametrize("name", MODULES)
def test_broken_module(tmp_path, name):
    content, reason = MODULES[name]
    module = tmp_path / "filter.wasm"
    if content is not None:
        module.write_bytes(content)
    wasm = f"""
- name: envoy.filters.http.wasm
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config: {{name: broken_one, vm_config: {{code: {{local: {{filename: "{module}"}}}}}}}}
"""
    status, _, err = run_validate(http_config(DIRECT, filters=wasm))
    assert status == 1
    lines = [line for line in err.splitlines() if line.startswith("envoy.yaml:") and ": warning:" not in line]
    assert len(lines) == 1 and str(module) in lines[0] and "broken_one" in lines[0], err
    assert reason is None or reason in lines[0], err


def test_broken_module_does_not_stop_a_running_process(weir):
    proxy = weir(http_config(DIRECT))
    wasm = """
- name: envoy.filters.http.wasm
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config: {name: broken_one, vm_config: {code: {local: {filename: /nowhere.wasm}}}}
"""
    assert not proxy.reload(http_config(DIRECT, filters=wasm))
    assert get(proxy.port).status == 200


def test_nothing_given():
    done = subprocess.run([weir_binary()], capture_output=True, text=True)
    assert done.returncode == 1 and "-c FILE" in done.stderr


@pytest.mark.parametrize("args, said", [(["--concurency", "1"], "--concurrency"), (["--mode", "vallidate"], "serve|validate|init_only"),
                                        (["--concurrency", "two"], "whole number"), (["envoy.yaml"], "-c envoy.yaml")])
def test_command_line_slips(args, said):
    done = subprocess.run([weir_binary(), *args], capture_output=True, text=True)
    assert done.returncode == 1 and said in done.stderr


def test_restart_counts(weir):
    """A thousand connections that come and go leave nothing behind."""
    proxy = weir(http_config("- match: {prefix: /}\n  route: {cluster: c}\n", clusters=cluster("c", 1)))
    get(proxy.port)
    before = proxy.fds()
    for _ in range(300):
        assert get(proxy.port).status == 503
    end = time.monotonic() + 3
    while time.monotonic() < end and proxy.fds() > before:
        time.sleep(0.05)
    assert proxy.fds() <= before
    assert proxy.stat("http.test.downstream_rq_active") == 0
