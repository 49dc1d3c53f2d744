"""Runs on W&B are compared, and the comparison shown there: its own client, against a server of the tests."""

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
    """Hands out the runs' files, too."""

    def do_GET(self) -> None:  # noqa: N802
        content = b""  # at the root, where runs look whether there is a server
        if self.path.startswith("/files/"):
            run, name = self.path.removeprefix("/files/").split("/", 1)
            content = (self.server.folders[run] / name.removeprefix("run/")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Holder(Server):
    """Holds finished runs, which lie in folders."""

    def __init__(self, folders) -> None:
        super().__init__()
        self.RequestHandlerClass = Downloads
        self.folders = folders

    def answer(self, name, told):
        match name:
            case "GetDefaultEntity":
                return {"viewer": VIEWER}
            case "Run":
                return {"project": PROJECT | {"run": self.run(told["name"]) if told["name"] in self.folders else None}}
            case "RunFiles":
                there = [name for name in told["fileNames"] if self.path(told["name"], name).exists()]
                files = {
                    "edges": [{"node": self.node(told["name"], file), "cursor": file} for file in there],
                    "pageInfo": {"endCursor": "", "hasNextPage": False},
                }
                return {"project": PROJECT | {"run": {"fileCount": len(there), "files": files}}}
        return super().answer(name, told)

    def path(self, run, file):
        """config.yaml is W&B's own, so a run's lies elsewhere."""
        return self.folders[run] / file.removeprefix("run/")

    def run(self, name):
        held = {"run.commit": {"value": "5363fa5"}, "_wandb": {"value": {"t": 1}}}
        nothing = dict.fromkeys(["sweepName", "group", "jobType", "commit", "description", "notes", "historyKeys"])
        return {
            **{"id": name, "projectId": "1", "name": name, "displayName": name, "state": "finished", "tags": []},
            **{"config": json.dumps(held), "systemMetrics": "{}", "summaryMetrics": "{}", "historyLineCount": 0},
            **{"user": {"name": "me", "username": "me"}, "readOnly": False, "createdAt": "2026-01-01T00:00:00"},
            **{"heartbeatAt": "2026-01-01T00:00:00", **nothing},
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
    server = Holder(folders)
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


def test_runs_on_wandb_are_compared_and_the_comparison_shown_there(server, tmp_path):
    done = compare(server, tmp_path, "me/segment/good1", "wandb:me/segment/bad", "me/segment/good2", "wandb=segment")
    assert done.returncode == 0, done.stderr
    assert "cannot" not in done.stderr
    assert "A: model.net.base_channels=16 (2 seeds)" in done.stdout
    assert "B: model.net.base_channels=2 (1 seed)" in done.stdout
    assert "A is better than B on" in done.stdout
    (shown,) = server.runs.values()
    assert (shown["jobType"], shown["project"]) == ("compare", "segment")
    (row,) = [row for row in server.rows(shown["name"]) if "differences" in row]
    assert {"scores", "differences", "verdicts", "figure", "page"} <= row.keys()
    table = json.loads(server.files[f"run/{row['differences']['path']}"])
    assert "A" in [row[table["columns"].index("better")] for row in table["data"]]
    assert server.files[f"run/{row['figure']['path']}"] == (tmp_path / "out" / "figure.png").read_bytes()
    assert str(tmp_path).encode() not in b"".join(server.said)


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


def test_a_download_that_breaks_off_is_named(tmp_path):
    def broken(root, replace):
        msg = "the connection was reset\nby somebody"
        raise OSError(msg)

    file = SimpleNamespace(name="cases.csv", download=broken)
    with pytest.raises(
        UserError, match=r"^cannot download cases\.csv of a/b/c \(the connection was reset\); try again$"
    ):
        _download(file, "a/b/c", tmp_path)
