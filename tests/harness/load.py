"""Load in the background (wrk) whose errors a test can count."""

import re
import subprocess


class Load:
    def __init__(self, port, seconds, path="/", connections=20):
        self.process = subprocess.Popen(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", f"http://127.0.0.1:{port}{path}"],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self):
        """(requests answered, errors of any kind, non-2xx answers)"""
        out = self.process.communicate(timeout=90)[0]
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        errors = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", out))
        other = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
        return requests, errors, other
