"""A test upstream for users: a raw socket server that keeps every received byte."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field

from .wire import PATIENCE

HANG = object()  # Send nothing more, and keep the connection open.
CLOSE = object()  # Close the connection.


@dataclass
class Held:
    """An answer that waits for an event."""

    released: threading.Event
    answer: object


@dataclass
class Seen:
    """One request as it arrived; `raw` is all of its bytes."""

    raw: bytes
    line: bytes
    headers: list
    body: bytes

    @property
    def method(self):
        return self.line.split(b" ")[0].decode()

    @property
    def target(self):
        return self.line.split(b" ")[1]

    def values(self, name):
        """The values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def answer(status=200, body=b'{"ok":true}', headers=(("ac-revision", "18"), ("Content-Type", "application/json"))):
    """The bytes of an answer."""
    lines = [f"HTTP/1.1 {status} Whatever"] + [f"{name}: {value}" for name, value in headers]
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


@dataclass
class Upstream:
    """Serves on a loopback port. The answers come from `script`, in order, and then from `default`.
    An answer is bytes, HANG or CLOSE, or a pair: bytes, then HANG or CLOSE."""

    default: object = field(default_factory=answer)

    def __post_init__(self):
        self.script, self.seen, self.total = [], [], 0
        self._lock = threading.Condition()
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self.origin = "http://127.0.0.1:%d" % self.address[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self):
        """Ends the threads before it closes their sockets, because a new socket could reuse a closed number."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # The caller may have closed the connection already.
                    connection.shutdown(socket.SHUT_RDWR)

    def reset(self):
        """Forgets the received requests and the scripted answers."""
        with self._lock:
            self.script, self.seen, self.total = [], [], 0

    def then(self, *answers):
        with self._lock:
            self.script.extend(answers)

    def wait(self, count, seconds=PATIENCE):
        """The received requests, once there are `count`."""
        with self._lock:
            if not self._lock.wait_for(lambda: len(self.seen) >= count, seconds):
                raise AssertionError(f"upstream has seen {len(self.seen)} requests, not {count}")
            return list(self.seen)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            reader = _Reader(connection, self._count)
            while True:
                seen = reader.request()
                if seen is None:
                    break
                with self._lock:
                    reply = self.script.pop(0) if self.script else self.default
                    self.seen.append(seen)
                    self._lock.notify_all()
                if isinstance(reply, Held):
                    reply.released.wait(PATIENCE)
                    reply = reply.answer
                data, end = reply if isinstance(reply, tuple) else (reply, None)
                data, end = (b"", data) if data in (HANG, CLOSE) else (data, end)
                connection.sendall(data)
                if end is HANG:
                    connection.recv(1)
                if end:
                    break
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
                connection.close()

    def _count(self, length):
        with self._lock:
            self.total += length


class _Reader:
    """Reads requests from a connection and keeps their bytes."""

    def __init__(self, connection, count):
        self.connection, self.count, self.buffer = connection, count, b""

    def more(self):
        got = self.connection.recv(65536)
        self.count(len(got))
        self.buffer += got
        return bool(got)

    def request(self):
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return None
        head = self.buffer[: self.buffer.index(b"\r\n\r\n") + 4]
        self.buffer = self.buffer[len(head) :]
        line, *rest = head[:-4].split(b"\r\n")
        headers = []
        for text in rest:
            name, value = text.split(b":", 1)
            headers.append((name.decode(), value.strip(b" \t").decode("latin-1")))
        seen = Seen(head, line, headers, b"")
        if seen.values("transfer-encoding"):
            raw, seen.body = self.chunks()
        else:
            raw = seen.body = self.exactly(int((seen.values("content-length") or ["0"])[0]))
        seen.raw += raw
        return seen

    def exactly(self, length):
        while len(self.buffer) < length:
            if not self.more():
                raise OSError("cut short")
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def chunks(self):
        raw = body = b""
        while True:
            while b"\r\n" not in self.buffer:
                if not self.more():
                    raise OSError("cut short")
            line = self.exactly(self.buffer.index(b"\r\n") + 2)
            size = int(line.split(b";")[0], 16)
            chunk = self.exactly(size + 2)
            raw, body = raw + line + chunk, body + chunk[:size]
            if size == 0:
                return raw, body
