"""Read CTs in another process, whose crash or hang ends neither the tests nor a benchmark.

python reading_worker.py        reads paths from standard input, one a line, and prints a line of JSON for each
"""

import hashlib
import json
import logging
import resource
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

MEMORY = 6 << 30  # address space of the process; reading one of these files needs a few MB
SECONDS = 60  # for one file; usual are milliseconds


class Worker:
    """A process that reads CTs, one after the other. It is started again after a crash or a hang."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def read(self, path: Path) -> dict[str, Any]:
        """What happened to a path.

        Returns:
            `voxels` (hash), `affine`, `shape` and `warnings` of a CT; or `refused` (the message); or `error` (an
            exception that is no UserError), `crash` (exit status) or `hang`; and the growth of memory in `megabytes`.
        """
        if self.process is None:
            call = [sys.executable, __file__]
            self.process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], SECONDS)[0]:
            self._stop()
            return {"hang": SECONDS}
        answer = self.process.stdout.readline()
        if answer:
            return dict(json.loads(answer))
        status = self.process.wait()
        self.process = None
        return {"crash": status}

    def _stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _read(path: Path) -> dict[str, Any]:
    from segment.errors import UserError
    from segment.io.read import read_ct

    warnings: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("segment").addHandler(handler)
    try:
        scan = read_ct(path)
    except UserError as error:
        return {"refused": str(error)}
    except Exception as error:  # any other exception is what the test looks for
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        logging.getLogger("segment").removeHandler(handler)
    voxels = hashlib.sha256(scan.data.astype("<f4").tobytes()).hexdigest()
    return {"voxels": voxels, "affine": scan.affine.tolist(), "shape": scan.data.shape, "warnings": warnings}


def main() -> None:
    """Answer until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _read(Path("x.nii"))  # import everything
    for line in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = _read(Path(line.rstrip("\n")))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(json.dumps({**answer, "megabytes": grown}), flush=True)


if __name__ == "__main__":
    main()
