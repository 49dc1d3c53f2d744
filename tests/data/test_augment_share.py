import platform
import subprocess
import sys

import pytest

REUSE = """
import resource, torch
from segment.data.augment.share import keep_freed_memory
keep_freed_memory()
def patch():
    return [torch.zeros(1 << 20) for _ in range(4)]  # 16 MB
patch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    patch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back and takes it anew")
def test_freed_memory_is_used_again():
    faults = subprocess.run(
        [sys.executable, "-c", REUSE], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert int(faults) < 20 * 4 * 1024 / 4  # pages that 20 patches fill, if each has to fetch them from the system
