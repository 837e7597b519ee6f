"""Raw HTTP/1 over sockets: a client that sends exactly the bytes it is told to, and upstreams that do the same."""

import socket
import struct
import threading
import time


class Response:
    """A parsed response: status, headers (list of pairs in order), body, and whether the message was complete."""

    def __init__(self, status, reason, headers, body, complete, trailers=(), version="HTTP/1.1"):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body
        self.complete, self.trailers, self.version = complete, list(trailers), version

    def get(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r} complete={self.complete}>"


class Client:
    """One connection. recv_response reads one message and leaves what follows for the next call."""

    def __init__(self, port, host="127.0.0.1", timeout=10, rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data, pause=0, step=None):
        """Sends; with `step` in pieces of that many bytes."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        if not step:
            self.sock.sendall(data)
            return self
        for i in range(0, len(data), step):
            self.sock.sendall(data[i : i + step])
            if pause:
                time.sleep(pause)
        return self

    def fill(self):
        if self.eof:
            return False
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            self.eof, self.reset = True, True
            return False
        if not data:
            self.eof = True
            return False
        self.buffer += data
        return True

    def line(self):
        while b"\n" not in self.buffer:
            if not self.fill():
                raise EOFError(f"connection ended inside {self.buffer!r}")
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def exactly(self, n):
        while len(self.buffer) < n:
            if not self.fill():
                data, self.buffer = self.buffer, b""
                return data, False
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data, True

    def fields(self):
        fields = []
        while line := self.line():
            name, _, value = line.partition(":")
            fields.append((name, value.strip()))
        return fields

    def chunks(self):
        body = b""
        while True:
            try:
                size = int(self.line().split(";")[0], 16)
                if size == 0:
                    return body, True, self.fields()
                data, whole = self.exactly(size)
                body += data
                if not whole:
                    return body, False, []
                self.line()
            except (EOFError, ValueError):
                return body, False, []

    def recv_response(self, head=False):
        version, status, *reason = self.line().split(" ", 2)
        status = int(status)
        headers = self.fields()
        reason = reason[0] if reason else ""
        lower = {k.lower(): v for k, v in headers}
        if head or status in (204, 304) or 100 <= status < 200:
            return Response(status, reason, headers, b"", True, version=version)
        if lower.get("transfer-encoding", "").lower() == "chunked":
            body, complete, trailers = self.chunks()
            return Response(status, reason, headers, body, complete, trailers, version)
        if "content-length" in lower:
            body, complete = self.exactly(int(lower["content-length"]))
            return Response(status, reason, headers, body, complete, version=version)
        while self.fill():
            pass
        body, self.buffer = self.buffer, b""
        return Response(status, reason, headers, body, not getattr(self, "reset", False), version=version)

    def request(self, method="GET", path="/", headers=(), body=b"", host="test"):
        lines = [f"{method} {path} HTTP/1.1", f"host: {host}"] + [f"{k}: {v}" for k, v in headers]
        if body and not any(k.lower() in ("content-length", "transfer-encoding") for k, _ in headers):
            lines.append(f"content-length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.recv_response(head=method == "HEAD")

    def closed(self, timeout=3):
        """True when the peer ends the connection within the time."""
        self.sock.settimeout(timeout)
        try:
            while self.fill():
                pass
            return True
        except TimeoutError:
            return False

    def reset_now(self):
        """Ends with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def get(port, path="/", headers=(), **kwargs):
    with Client(port) as client:
        return client.request("GET", path, headers, **kwargs)


def post(port, path="/", body=b"", headers=(), **kwargs):
    with Client(port) as client:
        return client.request("POST", path, headers, body, **kwargs)


def raw(port, data, n=1, step=None):
    """Sends bytes on a fresh connection and returns the first n responses (fewer if the connection ends)."""
    found = []
    with Client(port) as client:
        client.send(data, step=step)
        for _ in range(n):
            try:
                found.append(client.recv_response())
            except (EOFError, ConnectionError):
                break
    return found


class Request:
    """What an upstream received."""

    def __init__(self, method, path, headers, body, head):
        self.method, self.path, self.headers, self.body, self.head = method, path, headers, body, head

    def get(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default


class Upstream:
    """A server on a free port. By default every request gets `reply`; `handler(request, connection)` may take over: it returns
    bytes to send, or None after having done as it pleased with the connection (a Client over the accepted socket)."""

    OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    def __init__(self, handler=None, reply=OK, on_connect=None):
        self.handler, self.reply, self.on_connect = handler, reply, on_connect
        self.requests, self.n_connections, self.open = [], 0, set()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.n_connections += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        connection = Client.__new__(Client)
        connection.sock, connection.buffer, connection.eof = sock, b"", False
        sock.settimeout(30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open.add(sock)
        try:
            if self.on_connect and self.on_connect(connection) is False:
                return
            while True:
                request = self.read_request(connection)
                self.requests.append(request)
                answer = self.handler(request, connection) if self.handler else self.reply
                if answer is None:
                    return
                connection.send(answer)
        except (EOFError, OSError, ValueError):
            pass
        finally:
            self.open.discard(sock)
            sock.close()

    def read_request(self, connection):
        first = connection.line()
        method, path, _ = first.split(" ", 2)
        headers = connection.fields()
        lower = {k.lower(): v for k, v in headers}
        if "100-continue" in lower.get("expect", ""):
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if lower.get("transfer-encoding", "").lower() == "chunked":
            body, complete, _ = connection.chunks()
            if not complete:
                raise EOFError("request body cut short")
        elif "content-length" in lower:
            body, complete = connection.exactly(int(lower["content-length"]))
            if not complete:
                raise EOFError("request body cut short")
        return Request(method, path, headers, body, first)

    def stop(self):
        # shutdown wakes the accepting thread; close alone would leave the port listening under it
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for sock in list(self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def refused_port():
    """A loopback port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
