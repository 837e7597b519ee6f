"""Access logs end to end: where records go, what stops them, and that serving never waits for them."""

import json
import os
import signal
import threading
import time

import pytest

from harness.proxy import Failed, http_config
from harness.wire import Client, get

ROUTE = "- match: {prefix: /}\n  direct_response: {status: 200, body: {inline_string: ok}}\n"
FILE = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
STDOUT = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
PATHS = '{text_format_source: {inline_string: "%REQ(:PATH)%\\n"}}'


def logging_to(path, form=PATHS, more=""):
    return http_config(ROUTE, hcm=f'access_log:\n- name: f\n  typed_config: {{"@type": {FILE}, path: {path}, log_format: {form}}}\n' + more)


def wait_for(condition, timeout=10):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


def test_every_request_once_and_in_order(weir):
    proxy = weir(logging_to("access.log"))
    with Client(proxy.port) as client:
        for n in range(500):
            client.request(path=f"/{n}")
    wait_for(lambda: len((proxy.dir / "access.log").read_text().splitlines()) == 500)
    assert (proxy.dir / "access.log").read_text() == "".join(f"/{n}\n" for n in range(500))


def test_last_records_are_written_at_the_end(weir):
    proxy = weir(logging_to("access.log"), args=["--file-flush-interval-msec", "600000"])
    get(proxy.port, "/last")
    assert proxy.stop() == 0
    assert (proxy.dir / "access.log").read_text() == "/last\n"


def test_stdout(weir):
    proxy = weir(http_config(ROUTE, hcm=f'access_log: [{{name: s, typed_config: {{"@type": {STDOUT}, log_format: {{json_format: {{status: "%RESPONSE_CODE%"}}}}}}}}]'))
    get(proxy.port)
    wait_for(lambda: '{"status":200}\n' in proxy.output())


@pytest.mark.parametrize("how", ["signal", "admin"])
def test_reopen(weir, how):
    proxy = weir(logging_to("access.log"), concurrency=2)
    get(proxy.port, "/before")
    os.rename(proxy.dir / "access.log", proxy.dir / "old.log")
    if how == "signal":
        proxy.process.send_signal(signal.SIGUSR1)
    else:
        assert proxy.admin("/reopen_logs", "POST")[::2] == (200, "OK\n")
    wait_for((proxy.dir / "access.log").exists)
    get(proxy.port, "/after")
    wait_for(lambda: (proxy.dir / "access.log").read_text() == "/after\n")
    assert (proxy.dir / "old.log").read_text() == "/before\n"


def test_full_disk(weir):
    proxy = weir(logging_to("/dev/full"))
    for _ in range(20):
        assert get(proxy.port).status == 200
    wait_for(lambda: proxy.stat("filesystem.write_failed") > 0)
    assert get(proxy.port).status == 200
    assert "No space left on device" in proxy.output()
    assert proxy.stop() == 0


def test_pipe_that_nobody_reads(weir, tmp_path):
    """Records wait, then are dropped and counted; requests are answered all the same; a reader that comes gets what waited."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    proxy = weir(logging_to(pipe, '{text_format_source: {inline_string: "%REQ(x-big)%\\n"}}'))
    big = "x" * 50000
    with Client(proxy.port) as client:
        for _ in range(600):  # 30 MB, of which 16 may wait
            assert client.request(headers=[("x-big", big)]).status == 200
    assert proxy.stat("filesystem.write_dropped") > 0
    got = []

    def read():
        with open(pipe, "rb") as file:
            got.append(file.readline())

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(10)
    assert got == [big.encode() + b"\n"]
    wait_for(lambda: proxy.stat("filesystem.write_failed") > 0)  # the reader went: an error, no signal
    assert get(proxy.port).status == 200
    assert proxy.stop() == 0


def test_values_cannot_forge_records(weir):
    proxy = weir(logging_to("access.log", '{text_format_source: {inline_string: "<%REQ(x-a)%|%QUERY_PARAM(q)%>\\n"}}'))
    get(proxy.port, "/?q=%0Aforged", headers=[("x-a", 'quote" tab\there \x80\xff')])
    wait_for(lambda: (proxy.dir / "access.log").read_bytes().count(b"\n") == 1)
    assert (proxy.dir / "access.log").read_bytes() == b'<quote" tab\there \x80\xff|%0Aforged>\n'


def test_json_of_anything_is_json(weir):
    proxy = weir(logging_to("access.log", '{json_format: {a: "%REQ(x-a)%", n: "%BYTES_SENT%", none: "%REQ(x-none)%"}}'))
    get(proxy.port, headers=[("x-a", '"\\\t\x80</script>')])
    wait_for(lambda: (proxy.dir / "access.log").read_bytes().endswith(b"\n"))
    assert json.loads((proxy.dir / "access.log").read_text()) == {"a": '"\\\t\ufffd</script>', "n": 2, "none": None}


def test_filter(weir):
    proxy = weir(logging_to("access.log").replace("- name: f\n", "- name: f\n            filter: {header_filter: {header: {name: x-log, present_match: true}}}\n"))
    get(proxy.port, "/no")
    get(proxy.port, "/yes", headers=[("x-log", "1")])
    wait_for(lambda: (proxy.dir / "access.log").read_text() == "/yes\n")


def test_two_logs_and_a_reload(weir):
    two = logging_to("a.log", more=f'- name: g\n  typed_config: {{"@type": {FILE}, path: b.log, log_format: {PATHS}}}\n')
    proxy = weir(two, concurrency=2)
    get(proxy.port, "/1")
    assert proxy.reload(two.replace("b.log", "c.log"))
    proxy.read_ports()
    get(proxy.port, "/2")
    wait_for(lambda: (proxy.dir / "c.log").read_text() == "/2\n")
    wait_for(lambda: (proxy.dir / "a.log").read_text() == "/1\n/2\n")
    assert (proxy.dir / "b.log").read_text() == "/1\n"


@pytest.mark.parametrize("text, report", [
    (logging_to("/nonexistent/x"), "cannot open /nonexistent/x for writing: No such file or directory"),
    (logging_to("x", '{text_format_source: {inline_string: "ab %RESPONSE_COD%"}}'), 'there is no operator "RESPONSE_COD" (at character 4 of the format)'),
])
def test_faults_stop_the_start(weir, text, report):
    with pytest.raises(Failed) as failed:
        weir(text)
    assert report in failed.value.output
