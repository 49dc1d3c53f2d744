"""A stand-in for `segment train`: the same arguments, files, signals and exit codes, but no network.

As a script it "trains"; tests import its constants and helpers.
"""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

MONITOR = "val/dice/mean"


def main() -> None:
    given = dict(argument.lstrip("+").split("=", 1) for argument in sys.argv[1:])
    folder = Path(given["hydra.run.dir"].strip("'"))
    with (folder / "calls.txt").open("a") as file:
        print(os.getpid(), given["resume"], file=file)
    what = given.get("what") or given.get("task", "learn")  # `segment sweep` accepts only options of `segment train`
    if given["resume"] == "true":
        assert (folder / "config.yaml").exists()
    (folder / "config.yaml").touch()
    signal.signal(signal.SIGTERM, lambda *_: stop(folder))
    if what == "crash":
        msg = f"cannot read {folder.resolve()}/x"
        raise RuntimeError(msg)
    if what == "mistake":
        print("error: no such key: modle.lr; see /home/someone/conf", file=sys.stderr)
        sys.exit(2)
    if what == "memory":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang" or given.get("lr") == given.get("hang", "never"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        leave_child(folder)
        time.sleep(600)
    if what == "litter":
        leave_child(folder)
    if what == "deaf":
        signal.signal(signal.SIGTERM, lambda *_: (folder / "told.txt").touch())
    if what == "silent":
        return
    learn(folder, given)


def leave_child(folder: Path) -> None:
    """Start a process that does not end with this one."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "child.txt").write_text(str(child.pid))


def learn(folder: Path, given: dict[str, str]) -> None:
    """Write metrics.csv: epoch e has the value lr + seed/100 + e/1000, and a last epoch is worse.

    If `until` is given, each epoch waits until that file exists.
    """
    pause, epochs = float(given.get("pause", 0)), int(given.get("epochs", 4))
    lr = float(given.get("lr") or given["optimizer.lr"])
    values = [lr + int(given["seed"]) / 100 + epoch / 1000 for epoch in range(epochs)]
    for epoch, value in enumerate([*values, 0.0]):
        done = (folder / "metrics.csv").read_text().splitlines() if (folder / "metrics.csv").exists() else []
        if len(done) > 2 * epoch + 1:  # resumed
            continue
        time.sleep(pause)
        with (folder / "metrics.csv").open("a", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            if not done:
                rows.writerow(["step", "lr-Adam", MONITOR, "epoch"])
            rows.writerow([2 * epoch, 0.1, "", ""])
            rows.writerow([2 * epoch + 1, "", value, epoch])
        while ("until" in given or "init_from" in given) and not Path(
            given.get("until") or given["init_from"]
        ).exists():
            time.sleep(0.02)


def stop(folder: Path) -> None:
    (folder / "stopped.txt").touch()
    sys.exit(143)


def calls(folder: Path) -> list[tuple[int, str]]:
    """Process id and value of `resume` for every training in a run folder."""
    lines = (folder / "calls.txt").read_text().splitlines() if (folder / "calls.txt").exists() else []
    return [(int(pid), resume) for pid, resume in (re.split(" ", line) for line in lines)]


def lives(pid: int) -> bool:
    """Whether a process is running; a zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    main()
