import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SET = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
# Runs at the end of any Python program.
AT_EXIT = f"""
import atexit, os, sys
atexit.register(lambda: print("torch" in sys.modules, *(os.environ.get(name) for name in {SET[:4]}), file=sys.stderr))
"""
REUSE = """
import resource, torch
def step():
    return [torch.zeros(1 << 24) for _ in range(2)]  # 64 MiB each
for _ in range(20):  # until the allocator reuses its blocks
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    (tmp_path / "sitecustomize.py").write_text(AT_EXIT)
    kept = {key: value for key, value in os.environ.items() if key not in SET}
    return kept | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"} | variables


def state_at_exit(tmp_path: Path, *arguments: str, **variables: str) -> list[str]:
    """Whether a Python program imported torch, and four of its environment variables at exit."""
    env = environment(tmp_path, **variables)
    done = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, check=True)
    return done.stderr.split()


@glibc
@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "segment", "--version"),
        ("-m", "segment.privacy"),  # like `python -m segment.commands.train`, but the module is tiny
        ("-c", "import sys; from segment.__main__ import main; sys.argv = ['segment', '--version']; main()"),
    ],
)
def test_programs_are_set_up_before_torch_is_imported(tmp_path, arguments):
    assert state_at_exit(tmp_path, *arguments) == ["False", "passive", "2000", str(1 << 30), str(1 << 31)]


def test_importing_the_package_changes_no_settings(tmp_path):
    assert state_at_exit(tmp_path, "-c", "import segment.errors") == ["False", "None", "None", "None", "None"]


def test_a_package_of_the_user_that_imports_the_package_changes_no_settings(tmp_path):
    """While Python looks for `laboratory.train`, argv[0] is "-m" as well."""
    (tmp_path / "laboratory").mkdir()
    (tmp_path / "laboratory" / "__init__.py").write_text("import segment")
    (tmp_path / "laboratory" / "train.py").touch()
    assert state_at_exit(tmp_path, "-m", "laboratory.train") == ["False", "None", "None", "None", "None"]


@glibc
def test_settings_of_the_user_take_precedence(tmp_path):
    version = ("-m", "segment", "--version")
    assert state_at_exit(tmp_path, *version, OMP_WAIT_POLICY="active", MALLOC_MMAP_THRESHOLD_="1000") == [
        *("False", "active", "None", "1000", str(1 << 31))
    ]
    assert state_at_exit(tmp_path, *version, GOMP_SPINCOUNT="7")[1:3] == ["passive", "7"]
    tunables = "glibc.malloc.mmap_threshold=1000"
    assert state_at_exit(tmp_path, *version, GLIBC_TUNABLES=tunables) == ["False", "passive", "2000", "None", "None"]


@glibc
def test_memory_of_freed_tensors_is_reused(tmp_path):
    pages = 10 * 2 * (1 << 26) // 4096  # page faults if every step gets its memory from the system

    def faults(program: str) -> int:
        run = [sys.executable, "-c", program]
        env = environment(tmp_path)
        return int(subprocess.run(run, env=env, capture_output=True, text=True, check=True, timeout=120).stdout)

    assert faults(REUSE) > 0.9 * pages
    assert faults("from segment.runtime.machine import keep_freed_memory\nkeep_freed_memory()\n" + REUSE) < 0.01 * pages
