"""A stand-in of the Hugging Face hub's API on the loopback: makes repositories, takes commits, keeps the files."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_standinstandinstandin"


class Hub(ThreadingHTTPServer):
    """What was asked, and what is kept: ``repositories`` by kind and name, each with its files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repositories: dict[tuple[str, str], dict[str, bytes]] = {}
        self.visibility: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        path, content = self.path, self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._say(401, {"error": "Invalid username or password."})
        elif path == "/api/validate-yaml":
            self._say(200, {"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._make(json.loads(content))
        else:
            _, _, kind, owner, name, what, _ = path.split("/")
            held = self.server.repositories[kind, f"{owner}/{name}"]
            if what == "preupload":
                files = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                         for one in json.loads(content)["files"]]  # fmt: skip
                self._say(200, {"files": files})
            else:
                lines = [json.loads(line) for line in content.splitlines()]
                held |= {
                    line["value"]["path"]: base64.b64decode(line["value"]["content"])
                    for line in lines
                    if line["key"] == "file"
                }
                said = {"commitUrl": f"{self.server.url}/{owner}/{name}/commit/{'0' * 40}", "commitOid": "0" * 40}
                self._say(200, {**said, "success": True})

    def _make(self, asked: dict[str, Any]) -> None:
        kind = f"{asked.get('type') or 'model'}s"
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != "me":
            self._say(403, {"error": "You don't have the rights to create a model under this namespace"})
            return
        there = (kind, name) in self.server.repositories
        self.server.repositories.setdefault((kind, name), {})
        self.server.visibility.setdefault((kind, name), str(asked.get("visibility") or asked.get("private")))
        prefix = "" if kind == "models" else f"{kind}/"
        self._say(409 if there else 200, {"url": f"{self.server.url}/{prefix}{name}"})

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self._say(404, {"error": "Repository not found"})

    def _say(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def hub() -> Iterator[Hub]:
    with Hub() as server:
        # a daemon: at its end the command line waits for others
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
