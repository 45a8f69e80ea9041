"""A small runner: it takes runs from Penstock, checks that they are Penstock's, does something, and says what it did.

    PENSTOCK_WEBHOOK_SECRET=whsec_… python3 examples/runner.py [port]

Set a flow's `runner_url` to http://127.0.0.1:8090/ and start it. Python's standard library is all it needs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# While a secret is being replaced there are two, separated by a blank.
KEYS = [base64.b64decode(secret.removeprefix("whsec_")) for secret in os.environ["PENSTOCK_WEBHOOK_SECRET"].split()]
TOLERANCE_SECONDS = 300
MOST_BYTES = 16 * 1024 * 1024  # a version's content and a payload

done: dict[str, dict[str, Any]] = {}  # a real runner keeps this in its database, beside what it does


def run(data: dict[str, Any]) -> dict[str, Any]:
    """What this runner is for: put your work here. Longer than ten seconds? Answer 202 and report later."""
    nodes = len(data["body"].get("nodes", []))
    return {"status": "success", "metrics": {"nodes": nodes}, "logs": [f"ran {nodes} nodes of {data['version']}"]}


class Runner(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), MOST_BYTES))
        message_id = self.headers.get("webhook-id", "")
        if not self.is_penstock(message_id, body):
            return self.answer(401, {"message": "this was not signed with my secret"})
        event = json.loads(body)
        if event["type"] == "flow.run" and message_id not in done:  # a repeat is answered, and not run, again
            done[message_id] = run(event["data"])
        print(f"runner: {event['type']} {message_id} of flow {event['data']['flow_id']}", flush=True)
        return self.answer(200, done.get(message_id, {}))

    def is_penstock(self, message_id: str, body: bytes) -> bool:
        stamp = self.headers.get("webhook-timestamp", "")
        if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
            return False
        signed = f"{message_id}.{stamp}.".encode() + body
        known = [b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in KEYS]
        shown = self.headers.get("webhook-signature", "").encode().split()
        return any(hmac.compare_digest(one, other) for one in known for other in shown)

    def answer(self, status: int, told: dict[str, Any]) -> None:
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet: do_POST says what there is to say."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int((sys.argv[1:] or ["8090"])[0])), Runner).serve_forever()
