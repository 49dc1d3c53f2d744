"""Facts about the files of an input, by which another program can recognise it, and by which it is recognised later."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from segment.errors import UserError
from segment.files import file_sha256
from segment.inference.inputs.find_inputs import Input
from segment.inference.outputs.report import read_report, write_report
from segment.io.dicom import SeriesFolder


def source_facts(item: Input, files: Sequence[Path]) -> dict[str, object]:
    """Path, number of files, size, state and SHA-256 of an input.

    The state is a hash of names, inodes, sizes and times of its files, by which unchanged files are recognised.

    Args:
        item: The input. Its path is given below the folder that all inputs share, so no folder of this machine appears.
        files: The files that were read. The hash of a file is that of its content. The hash of a DICOM series is that
            of the sorted hashes of its files, in hexadecimal and joined by line feeds, so that neither names nor order
            matter.
    """
    size = sum(path.stat().st_size for path in files)
    return {
        "path": item.display_name,
        "files": len(files),
        "bytes": size,
        "state": _state(item.path),
        "sha256": _sha256(files),
    }


def is_another_ct(item: Input, report: Path, series: str | None) -> bool:
    """Whether an input is not the CT of a report: its files were replaced, or another of its series is wanted.

    Files are read unless their state is that of the report, or if a series of a folder is chosen. If they are equal
    nevertheless, for example copied, the report gets the new state. A report that is missing, or that does not state
    its CT, fits every CT.

    Args:
        item: The input.
        report: File of the report.
        series: As in `segment predict`. A folder without this series is not segmented, so its report fits.
    """
    content = read_report(report) or {}
    stated = content.get("input", {})
    if "sha256" not in stated:
        return False
    is_folder = item.path.is_dir()
    try:
        state = _state(item.path)
        if not (is_folder and series) and stated.get("state") == state:
            return False
        sources = list(_series(item.path, series)) if is_folder else [[item.path]]
        if not sources:
            return False
        if all(_sha256(files) != stated["sha256"] for files in sources):
            return True
        write_report(report, content | {"input": stated | {"state": state}})
        return False
    except UserError:  # a damaged file, which was not there before
        return True
    except OSError:  # it was removed just now; segmenting it will report that
        return False


def _series(folder: Path, series: str | None) -> Iterator[list[Path]]:
    """The files of each CT series in a folder, or of one; nothing if it is not there."""
    held = SeriesFolder(folder, recursive=False)
    for uid in [one.uid for one in held.series] if series is None else [series]:
        files = held.files(uid)
        if files:
            yield files


def _state(path: Path) -> str:
    """Hash of what the file system says about a file, or about a folder and its files, without reading them."""
    entries = []
    for one in [path, *sorted(path.iterdir())] if path.is_dir() else [path]:
        with suppress(OSError):  # a link that leads nowhere
            found = one.stat()
            entries.append((one.name, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return hashlib.blake2b(repr(entries).encode(), digest_size=8).hexdigest()


def _sha256(files: Sequence[Path]) -> str:
    hashes = sorted(map(file_sha256, files))
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
