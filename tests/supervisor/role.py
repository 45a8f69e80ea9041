"""A role of a few lines, run by path: `api` answers /healthz, `stubborn` ends for nothing but SIGKILL, others wait."""

import http.server
import os
import signal
import sys


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def main(role: str) -> None:
    if role == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if role == "api":
        http.server.HTTPServer(("127.0.0.1", int(os.environ["PENSTOCK_PORT"])), Health).serve_forever()
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
