"""Requests as bytes, for tests of what a well-behaved client would not send; http.client parses the answers."""

import http.client
import json
import socket

#: Seconds after which a wait for what must come has failed; long, so that no busy machine reaches it.
PATIENCE = 120
PATH = "/api/account/12345678/configuration/le-users/users"


class Answer:
    """A parsed answer: `status`, `headers` (an http.client.HTTPMessage), `body`."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body!r}"


def send(address, data, seconds=PATIENCE):
    """Sends these bytes on a new connection and reads one answer."""
    with socket.create_connection(address, timeout=seconds) as connection:
        connection.sendall(data)
        return read(connection, data.split(b" ", 1)[0].decode("latin-1"))


def read(connection, method=None):
    """Reads one answer from a connection."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, response.headers, response.read())


def request(method, target, *headers, body=None, host="gate.example"):
    """The bytes of a request exactly as given, plus `Host` and the length of the body: nothing is escaped or reordered."""
    lines = [b"%s %s HTTP/1.1" % (_bytes(method), _bytes(target))]
    if host is not None:
        lines.append(b"Host: " + _bytes(host))
    lines += [_bytes(header) for header in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")
