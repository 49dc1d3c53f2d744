"""Facts about the files of an input, by which another program can recognise it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from segment.files import file_sha256
from segment.inference.inputs.find_inputs import Input


def source_facts(item: Input, files: Sequence[Path]) -> dict[str, object]:
    """Path, number of files, size and SHA-256 of an input.

    Args:
        item: The input. Its path is given below the folder that all inputs share, so no folder of this machine appears.
        files: The files that were read. The hash of a file is that of its content. The hash of a DICOM series is that
            of the sorted hashes of its files, in hexadecimal and joined by line feeds, so that neither names nor order
            matter.
    """
    hashes = sorted(map(file_sha256, files))
    joined = hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    size = sum(path.stat().st_size for path in files)
    return {"path": item.display_name, "files": len(files), "bytes": size, "sha256": joined}
