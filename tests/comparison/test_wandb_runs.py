"""Comparison of runs on W&B, and its report there: the real client against a local server."""

import json
import os
import subprocess
import sys
from threading import Thread
from types import SimpleNamespace

import pytest
from run_folders import Study
from wandb_server import KEY, PROJECT, VIEWER, Handler, Server

from segment.comparison.wandb_runs import _download
from segment.errors import UserError

pytestmark = pytest.mark.xdist_group("wandb")


class Downloads(Handler):
    """Also serves the files of the runs."""

    def do_GET(self) -> None:  # noqa: N802
        content = b""  # at the root, which clients request to check that the server is up
        if self.path.startswith("/files/"):
            run, name = self.path.removeprefix("/files/").split("/", 1)
            content = (self.server.folders[run] / name.removeprefix("run/")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class RunServer(Server):
    """A server with finished runs, whose files are in local folders."""

    def __init__(self, folders) -> None:
        super().__init__()
        self.RequestHandlerClass = Downloads
        self.folders = folders

    def answer(self, name, variables):
        match name:
            case "GetDefaultEntity":
                return {"viewer": VIEWER}
            case "Run":
                return {
                    "project": PROJECT
                    | {"run": self.run(variables["name"]) if variables["name"] in self.folders else None}
                }
            case "RunFiles":
                existing = [name for name in variables["fileNames"] if self.path(variables["name"], name).exists()]
                files = {
                    "edges": [{"node": self.node(variables["name"], file), "cursor": file} for file in existing],
                    "pageInfo": {"endCursor": "", "hasNextPage": False},
                }
                return {"project": PROJECT | {"run": {"fileCount": len(existing), "files": files}}}
        return super().answer(name, variables)

    def path(self, run, file):
        """Local path of a file; on W&B, a run's config.yaml is in `run/`, because W&B writes its own config.yaml."""
        return self.folders[run] / file.removeprefix("run/")

    def run(self, name):
        config = {"run.commit": {"value": "5363fa5"}, "_wandb": {"value": {"t": 1}}}
        unset = dict.fromkeys(["sweepName", "group", "jobType", "commit", "description", "notes", "historyKeys"])
        return {
            **{"id": name, "projectId": "1", "name": name, "displayName": name, "state": "finished", "tags": []},
            **{"config": json.dumps(config), "systemMetrics": "{}", "summaryMetrics": "{}", "historyLineCount": 0},
            **{"user": {"name": "me", "username": "me"}, "readOnly": False, "createdAt": "2026-01-01T00:00:00"},
            **{"heartbeatAt": "2026-01-01T00:00:00", **unset},
        }

    def node(self, run, file):
        url = f"{self.url}/files/{run}/{file}"
        size = self.path(run, file).stat().st_size
        return {
            **{"id": file, "name": file, "url": url, "directUrl": url, "sizeBytes": str(size)},
            **{"mimetype": "text/plain", "updatedAt": None, "md5": ""},
        }


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    study, runs = Study(), tmp_path_factory.mktemp("runs")
    folders = {
        "good1": study.run(runs / "good1", seed=1),
        "good2": study.run(runs / "good2", seed=2),
        "bad": study.run(runs / "bad", shift=-0.05, channels=2),
        "untested": study.run(runs / "untested"),
    }
    (folders["untested"] / "cases.csv").unlink()
    server = RunServer(folders)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def compare(server, folder, *arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA")) and k != "NETRC"}
    environment |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "segment", "compare", *arguments, "output=out", "resamples=999"]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_runs_on_wandb_are_compared_and_the_comparison_is_logged_there(server, tmp_path):
    done = compare(server, tmp_path, "me/segment/good1", "wandb:me/segment/bad", "me/segment/good2", "wandb=segment")
    assert done.returncode == 0, done.stderr
    assert "cannot" not in done.stderr
    assert "A: model.net.base_channels=16 (2 seeds)" in done.stdout
    assert "B: model.net.base_channels=2 (1 seed)" in done.stdout
    assert "A is better than B on" in done.stdout
    (logged,) = server.runs.values()
    assert (logged["jobType"], logged["project"]) == ("compare", "segment")
    (row,) = [row for row in server.rows(logged["name"]) if "differences" in row]
    assert {"scores", "differences", "verdicts", "figure", "page"} <= row.keys()
    table = json.loads(server.files[f"run/{row['differences']['path']}"])
    assert "A" in [row[table["columns"].index("better")] for row in table["data"]]
    assert server.files[f"run/{row['figure']['path']}"] == (tmp_path / "out" / "figure.png").read_bytes()
    assert str(tmp_path).encode() not in b"".join(server.requests)


def test_a_run_that_was_not_tested_is_refused(server, tmp_path):
    done = compare(server, tmp_path, "me/segment/good1", "me/segment/untested")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: me/segment/untested has no cases.csv on W&B; compare its run folder, or a run that was tested\n"
    )


def test_a_run_that_the_server_does_not_have_is_refused(server, tmp_path):
    done = compare(server, tmp_path, "me/segment/good1", "me/segment/nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no folder me/segment/nobody here, and cannot get me/segment/nobody")
    assert done.stderr.endswith("; check the path, the network and `wandb login`\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_broken_download_is_an_error_with_the_name_of_the_file(tmp_path):
    def broken(root, replace):
        msg = "the connection was reset\nby somebody"
        raise OSError(msg)

    file = SimpleNamespace(name="cases.csv", download=broken)
    with pytest.raises(
        UserError, match=r"^cannot download cases\.csv of a/b/c \(the connection was reset\); try again$"
    ):
        _download(file, "a/b/c", tmp_path)
