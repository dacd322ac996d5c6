"""A test issuer: serves a JWK set over HTTP and can be made to fail."""

import http.server
import threading

from . import tokens


class Issuer:
    """Tests may change `keys` and `status` at any time; `asked` counts the requests."""

    def __init__(self, keys=None, status=200):
        self.keys, self.status, self.asked = keys or tokens.key_set(), status, 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.asked += 1
                body = owner.keys.encode()
                self.send_response(owner.status)
                self.send_header("Content-Type", "application/jwk-set+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/keys" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
