#!/usr/bin/env python3
"""The benchmark: weir, nginx, HAProxy, the real Envoy and a bare relay do the same job in one run, one core each, load from the other
core, in alternating rounds. Absolute times depend on the machine; the ratios and the counts are what to look at.

  bench/run.py [--rounds N] [--seconds S] [--only NAME,...] [--rows plain,wasm,start,memory,routes,connections,counts] [--json FILE]
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "bench"))

import configs  # noqa: E402
from harness.proxy import envoy_binary, weir_binary  # noqa: E402

PROXY_CPU, LOAD_CPU = "0", "1"
WEIR = weir_binary()
BUILD = Path(os.environ.get("WEIR_BENCH_BUILD", ROOT / "build" / "release" / "bench"))
GO_FILTER = ROOT / "build" / "examples" / "article" / "optimized.wasm"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_port(port, process, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), 0.2) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")
                sock.settimeout(5)
                if sock.recv(4096):
                    return
        except OSError:
            time.sleep(0.001)
    raise RuntimeError(f"{process.args[0]} does not answer")


class Server:
    """A proxy (or the backend) pinned to one core."""

    def __init__(self, name, command, port, cpu, env=None, silent=True):
        self.name, self.port = name, port
        out = subprocess.DEVNULL if silent else None
        self.started = time.monotonic()
        self.process = subprocess.Popen(["taskset", "-c", cpu, *command], stdout=out, stderr=out, env={**os.environ, **(env or {})})
        wait_port(port, self.process)
        self.start_ms = (time.monotonic() - self.started) * 1000

    def pids(self):
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(p) for p in task.read_text().split()]
        return found

    def cpu_ns(self):
        """CPU time so far, of all threads, in nanoseconds (the scheduler's own count)."""
        total = 0
        for pid in self.pids():
            for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                total += int(stat.read_text().split()[0])
        return total

    def rss_kb(self):
        return sum(int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) for pid in self.pids()
                   if "VmRSS" in Path(f"/proc/{pid}/status").read_text())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def proxies(directory, backend, go_filter):
    """name -> function that starts it and returns a Server."""

    def write(name, text):
        path = Path(directory) / name
        path.write_text(text)
        return str(path)

    def weir(name, filters="", text=None):
        def start():
            port = free_port()
            path = write(f"{name}.yaml", text(port) if text else configs.envoy(port, backend, filters, admin=free_port()))
            return Server(name, [WEIR, "-c", path, "--concurrency", "1", "-l", "error", "--drain-time-s", "0"], port, PROXY_CPU)
        return start

    def envoy(name, filters=""):
        def start():
            port = free_port()
            path = write(f"{name}.yaml", configs.envoy(port, backend, filters, admin=free_port()))
            return Server(name, [envoy_binary(), "-c", path, "--concurrency", "1", "-l", "error", "--use-dynamic-base-id"], port, PROXY_CPU)
        return start

    def nginx():
        port = free_port()
        path = write("nginx.conf", configs.nginx(port, backend, directory))
        return Server("nginx", ["nginx", "-p", directory, "-c", path], port, PROXY_CPU)

    def haproxy():
        port = free_port()
        path = write("haproxy.cfg", configs.haproxy(port, backend))
        return Server("haproxy", ["haproxy", "-f", path], port, PROXY_CPU)

    def relay():
        port = free_port()
        return Server("relay", [str(BUILD / "bench_relay"), str(port), str(backend)], port, PROXY_CPU)

    found = {"relay": relay, "weir": weir("weir")}
    if shutil.which("nginx"):
        found["nginx"] = nginx
    if shutil.which("haproxy"):
        found["haproxy"] = haproxy
    if envoy_binary():
        found["envoy"] = envoy("envoy")
    if go_filter.exists():
        found["weir+go"] = weir("weir+go", configs.wasm_filter(go_filter))
        if envoy_binary():
            found["envoy+go"] = envoy("envoy+go", configs.wasm_filter(go_filter))
    return found


def load(server, seconds, connections=64):
    """One run of wrk: requests a second, CPU microseconds a request, latencies in microseconds, errors."""
    before = server.cpu_ns()
    out = subprocess.run(["taskset", "-c", LOAD_CPU, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{server.port}/"],
                         capture_output=True, text=True, check=True).stdout
    cpu = server.cpu_ns() - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))

    def micro(label):
        value, unit = re.search(label + r"\s+([\d.]+)(us|ms|s)", out).groups()
        return float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]

    errors = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", out)) + sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    return {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), "cpu_us": cpu / 1000 / max(requests, 1),
            "p50_us": micro("50%"), "p99_us": micro("99%"), "errors": errors, "requests": requests}


def steady_load(server, seconds, connections):
    """CPU microseconds a request once all connections are there: a long run less a short one."""
    totals = []
    for duration in (seconds, seconds * 3):
        before = server.cpu_ns()
        run = load(server, duration, connections)
        totals.append((server.cpu_ns() - before, run["requests"]))
    return {"cpu_us": (totals[1][0] - totals[0][0]) / 1000 / max(totals[1][1] - totals[0][1], 1)}


def print_table(title, columns, rows):
    print(f"\n{title}")
    widths = [max(len(str(r[i])) for r in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *rows]:
        print("  " + "  ".join(str(cell).ljust(w) if i == 0 else str(cell).rjust(w) for i, (cell, w) in enumerate(zip(row, widths))))


def median(runs, key):
    return statistics.median(r[key] for r in runs)


def throughput(starters, args, results):
    """Alternating rounds: every proxy is up all the time and idle while another is measured."""
    servers = {name: start() for name, start in starters.items()}
    runs = {name: [] for name in servers}
    try:
        for server in servers.values():
            load(server, 1)
        for _ in range(args.rounds):
            for name, server in servers.items():
                runs[name].append(load(server, args.seconds))
    finally:
        for server in servers.values():
            server.stop()
    base = median(runs["relay"], "cpu_us") if "relay" in runs else None
    nginx = median(runs["nginx"], "cpu_us") if "nginx" in runs else None
    rows = []
    for name, r in runs.items():
        cpu = median(r, "cpu_us")
        rows.append([name, f"{median(r, 'rps'):.0f}", f"{cpu:.2f}", f"{min(x['cpu_us'] for x in r):.2f}..{max(x['cpu_us'] for x in r):.2f}", f"{cpu / base:.2f}" if base else "-",
                     f"{cpu / nginx:.2f}" if nginx else "-", f"{median(r, 'p50_us'):.0f}", f"{median(r, 'p99_us'):.0f}", sum(x["errors"] for x in r)])
        results[name] = {"rps": median(r, "rps"), "cpu_us": cpu, "x_relay": cpu / base if base else None, "x_nginx": cpu / nginx if nginx else None}
    print_table(f"HTTP/1 keep-alive, 64 connections, {args.rounds} alternating rounds of {args.seconds} s (medians)",
                ["proxy", "req/s", "CPU us/req", "min..max", "x relay", "x nginx", "p50 us", "p99 us", "errors"], rows)
    for a, b in (("weir+go", "weir"), ("envoy+go", "envoy")):
        if a in results and b in results:
            print(f"  the Go filter adds {results[a]['cpu_us'] - results[b]['cpu_us']:.2f} us a request in {b}")


def start_and_memory(starters, results):
    rows = []
    for name, start in starters.items():
        times, sizes = [], []
        for i in range(4):
            server = start()
            time.sleep(0.1)
            times.append(server.start_ms)
            sizes.append(server.rss_kb())
            server.stop()
        rows.append([name, f"{times[0]:.0f}", f"{statistics.median(times[1:]):.0f}", f"{statistics.median(sizes) / 1024:.1f}"])
        results.setdefault(name, {}).update(first_start_ms=times[0], start_ms=statistics.median(times[1:]), rss_mb=statistics.median(sizes) / 1024)
    print_table("Start (until the first answer) and memory", ["proxy", "first ms", "later ms", "RSS MB"], rows)


def idle_connections(starters, results, n=2000):
    rows = []
    for name in [x for x in ("weir", "nginx", "haproxy", "envoy") if x in starters]:
        server = starters[name]()
        try:
            before, sockets = server.rss_kb(), []
            for _ in range(n):
                sock = socket.create_connection(("127.0.0.1", server.port))
                sock.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")
                sock.recv(4096)
                sockets.append(sock)
            time.sleep(0.5)
            kb = (server.rss_kb() - before) / n
            for sock in sockets:
                sock.close()
        finally:
            server.stop()
        rows.append([name, f"{kb:.2f}"])
        results.setdefault(name, {})["idle_kb"] = kb
    print_table(f"Memory of an idle keep-alive connection ({n} of them after one request each)", ["proxy", "KB"], rows)


def flat_cost(starters, directory, backend, args, results):
    """10 and 10,000 routes; 64 and 5,000 connections."""
    def with_hosts(n_hosts, n_routes):
        port = free_port()
        text = configs.envoy(port, backend, admin=free_port())
        marker = '            - name: all\n'
        text = text.replace(marker, configs.many_routes(n_hosts, n_routes) + marker)
        path = Path(directory) / f"routes{n_routes}.yaml"
        path.write_text(text)
        return Server("weir" if n_routes == 10 else f"{n_routes} routes", [WEIR, "-c", str(path), "--concurrency", "1", "-l", "error", "--drain-time-s", "0"], port, PROXY_CPU)

    few, many = with_hosts(1, 10), with_hosts(1000, 10000)
    try:
        runs = {s.name: [] for s in (few, many)}
        for _ in range(args.rounds):
            for server in (few, many):
                runs[server.name].append(load(server, args.seconds))
        rows = [["10 routes" if name == "weir" else name, f"{median(r, 'cpu_us'):.2f}"] for name, r in runs.items()]
        ratio = median(runs[many.name], "cpu_us") / median(runs[few.name], "cpu_us")
        rows.append(["ratio", f"{ratio:.3f}"])
        results["routes_ratio"] = ratio
        print_table("weir: cost of a request by the number of routes", ["", "CPU us/req"], rows)
        relay = starters["relay"]() if "relay" in starters else None
        runs = {}
        for server in filter(None, (few, relay)):
            for n in (64, 5000):
                runs[server.name, n] = steady_load(server, args.seconds, n)["cpu_us"]
    finally:
        few.stop(), many.stop()
    rows = [[name, n, f"{cpu:.2f}", f"{cpu / runs[name, 64]:.2f}"] for (name, n), cpu in runs.items()]
    results["connections_ratio"] = runs[few.name, 5000] / runs[few.name, 64]
    print_table("Cost of a request by the number of connections (the kernel's share grows too: see the relay)",
                ["proxy", "connections", "CPU us/req", "x 64"], rows)
    if relay:
        relay.stop()


def requests_on_one_connection(port, n):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for _ in range(n):
            sock.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")
            got = b""
            while b"xxxx" not in got:
                got += sock.recv(4096)


def counts(starters, directory, backend, results):
    """System calls (strace -c) and instructions (valgrind's callgrind) a request: stable where times are not."""
    rows = []
    for name in [x for x in ("relay", "weir", "weir+go") if x in starters]:
        server = starters[name]()
        summary = Path(directory) / "strace.txt"
        requests_on_one_connection(server.port, 50)
        trace = subprocess.Popen(["strace", "-f", "-c", "-o", str(summary), "-p", str(server.process.pid)], stderr=subprocess.DEVNULL)
        time.sleep(1)
        requests_on_one_connection(server.port, 2000)
        trace.send_signal(2)
        trace.wait()
        server.stop()
        calls = {}
        for line in summary.read_text().splitlines():
            found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if found and found.group(2) != "total":
                calls[found.group(2)] = int(found.group(1)) / 2000
        total = sum(calls.values())
        kinds = ", ".join(f"{k} {v:.2f}" for k, v in sorted(calls.items(), key=lambda x: -x[1]) if v >= 0.01)
        rows.append([name, f"{total:.2f}", kinds])
        results.setdefault(name, {})["syscalls"] = total
    print_table("System calls a request (one connection, no pipelining)", ["", "calls", "which"], rows)
    if shutil.which("valgrind"):
        instructions(directory, backend, results)


def instructions(directory, backend, results):
    def run(n):
        port = free_port()
        path = Path(directory) / "callgrind.yaml"
        path.write_text(configs.envoy(port, backend, admin=free_port()))
        out = Path(directory) / "callgrind.out"
        server = Server("callgrind", ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", WEIR, "-c", str(path), "--concurrency", "1",
                                      "-l", "error", "--drain-time-s", "0"], port, PROXY_CPU)
        requests_on_one_connection(port, n)
        server.process.terminate()
        server.process.wait(60)
        return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1))

    per_request = (run(3000) - run(1000)) / 2000
    results.setdefault("weir", {})["instructions"] = per_request
    print(f"\nInstructions a request in user space (callgrind, 3,000 less 1,000 requests): {per_request:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--rows", default="load,start,memory,flat,counts")
    parser.add_argument("--json", default="")
    args = parser.parse_args()
    results, wanted = {}, args.rows.split(",")
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory:
        os.chmod(directory, 0o755)
        port = free_port()
        backend = Server("backend", [str(BUILD / "bench_backend"), str(port), "64"], port, LOAD_CPU)
        try:
            starters = proxies(directory, port, GO_FILTER)
            if args.only:
                starters = {k: v for k, v in starters.items() if k in args.only.split(",")}
            print(f"CPU {PROXY_CPU}: the proxy; CPU {LOAD_CPU}: wrk and the backend (64-byte bodies). Proxies: {', '.join(starters)}")
            if "load" in wanted:
                throughput(starters, args, results)
            if "start" in wanted:
                start_and_memory(starters, results)
            if "memory" in wanted:
                idle_connections(starters, results)
            if "flat" in wanted:
                flat_cost(starters, directory, port, args, results)
            if "counts" in wanted:
                counts(starters, directory, port, results)
        finally:
            backend.stop()
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
