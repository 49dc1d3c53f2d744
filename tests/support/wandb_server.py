"""A server that implements the part of the W&B API (0.31) that a run needs, and keeps what it receives."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEY = "0123456789" * 4
PROJECT = {"id": "p", "name": "segment", "entity": {"id": "e", "name": "me"}}
VIEWER = {"id": "v", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}


class Server(ThreadingHTTPServer):
    """Keeps the content of the runs."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.history: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)  # rows of each run by line number
        self.runs: dict[str, dict[str, Any]] = {}  # last values of each run
        self.files: dict[str, bytes] = {}  # by `run/<name>` or `<artifact>/<name>`
        self.artifacts: dict[str, str] = {}  # type by name
        self.requests: list[bytes] = []  # content of all requests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def rows(self, run: str) -> list[dict[str, Any]]:
        return [row for _, row in sorted(self.history[run].items())]

    def stream(self, run: str, content: dict[str, Any]) -> None:
        """Store lines of the history by their numbers."""
        if chunk := content.get("files", {}).get("wandb-history.jsonl"):
            lines = enumerate(map(json.loads, chunk["content"]), start=chunk["offset"])
            self.history[run] |= dict(lines)

    def answer(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The response to a GraphQL query."""
        match name:
            case "Viewer":
                return {"viewer": VIEWER}
            case "ServerFeaturesQuery":
                return {"serverInfo": {"features": []}}
            case "RunResumeStatus":
                known = variables["name"] in self.runs
                return {"model": PROJECT | {"bucket": self._bucket(variables["name"])} if known else None}
            case "UpsertBucket":
                is_new = variables["name"] not in self.runs
                self.runs.setdefault(variables["name"], {}).update(
                    {k: v for k, v in variables.items() if v is not None}
                )
                return {"upsertBucket": {"bucket": self._bucket(variables["name"]), "inserted": is_new}}
            case "CreateRunFiles":
                files = [{"name": file, "uploadUrl": self._upload(f"run/{file}")} for file in variables["files"]]
                return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
        return self._answer_of_artifacts(name, variables)

    def _answer_of_artifacts(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        match name:
            case "CreateArtifact":
                name = variables["input"]["artifactCollectionName"]
                self.artifacts[name] = variables["input"]["artifactTypeName"]
                artifact = {"id": name, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
                return {"createArtifact": {"artifact": artifact}}
            case "CreateArtifactManifest":
                manifest = {"id": "m", "file": {"id": "f", "uploadUrl": self._upload("manifest"), "uploadHeaders": []}}
                return {"createArtifactManifest": {"artifactManifest": manifest}}
            case "CreateArtifactFiles":
                edges = [{"node": self._node(**file)} for file in variables["input"]["artifactFiles"]]
                return {"createArtifactFiles": {"files": {"edges": edges}}}
            case "CommitArtifact":
                return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": "d"}}}
        return {}

    def _bucket(self, run: str) -> dict[str, Any]:
        rows = self.rows(run)
        empty = {"summaryMetrics": "{}", "config": "{}", "wandbConfig": '{"t": 1}', "eventsTail": "[]", "tags": []}
        counts = {"logLineCount": 0, "eventsLineCount": 0, "historyLineCount": len(rows)}
        tail = json.dumps([json.dumps(row) for row in rows[-1:]])
        return {"id": run, "name": run, "displayName": run, "project": PROJECT, **empty, **counts, "historyTail": tail}

    def _node(self, artifactID: str, name: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        path = f"{artifactID}/{name}"
        node = {"storagePath": path, "uploadUrl": self._upload(path), "uploadHeaders": [], "uploadMultipartUrls": None}
        return node | {"artifact": {"id": artifactID}}

    def _upload(self, path: str) -> str:
        return f"{self.url}/upload/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_PUT(self) -> None:
        self.server.files[self.path.removeprefix("/upload/")] = self._content()
        self._answer({})

    def do_POST(self) -> None:
        content = self._content()
        self.server.requests.append(content)
        if self.path == "/graphql":
            query = json.loads(content)
            name = query["query"].split("(")[0].split("{")[0].split()[-1]
            self._answer({"data": self.server.answer(name, query.get("variables", {}))})
            return
        if self.path.endswith("/file_stream"):
            self.server.stream(self.path.split("/")[-2], json.loads(content))
        self._answer({})  # also to W&B's telemetry

    def _content(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def _answer(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def served() -> Iterator[Server]:
    server = Server()
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
