import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import PATH, Cluster


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """A SLURM cluster for these tests."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "setpriv") if not shutil.which(name, path=PATH)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found; apt-get install slurm-wlm munge")
    if os.getuid() != 0:
        pytest.skip("SLURM's daemons must start as root")
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    try:
        with Cluster(folder) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)
