"""Read damaged files: none may crash or hang the program, exhaust its memory, or silently give another CT.

    python benchmarks/fuzz_inputs.py [--count 600] [--seed 0] [--show]

Small CTs in every format are damaged: bits and bytes changed in the header or in the body, parts removed or inserted,
numbers replaced. A process of its own reads each as `segment predict` does. The table counts what happened. The exit
code is 1 if something must not happen. docs/predict.md says which damage no reader can see; --show prints those files.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from damaged_files import COMPRESSED, Damage, damaged, write_originals
from reading_worker import Worker

MEGABYTES = 200  # more memory than this for a CT of 3 kB is a fault
REFUSED, SAME, WARNED, VOXELS, GEOMETRY = "refused", "same CT", "warned", "other voxels", "other geometry"


def main() -> int:
    """Damage and read the files, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print the files that silently gave another CT")
    args = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    bad = []
    with tempfile.TemporaryDirectory() as folder, Worker() as reader:
        originals = write_originals(Path(folder) / "originals")
        expected = {name: reader.read(path) for name, path in originals.items()}
        for number in range(args.count):
            damage = damaged(originals, args.seed, number, Path(folder) / str(number))
            found = reader.read(damage.path)
            kind = outcome(found, expected[damage.format])
            counts[damage.format, kind] += 1
            detail = _detail(found, expected[damage.format])
            line = f"{number} {damage}: {kind}, {found.get('megabytes', 0):.0f} MB: {detail}"
            if is_bad(damage, kind, found):
                bad.append(line)
            elif args.show and kind in (VOXELS, GEOMETRY):
                print(line)
    _print(counts)
    print(f"{args.count} files, {len(bad)} bad", *bad, sep="\n  ")
    return 1 if bad else 0


def outcome(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """What happened to a file, in one or two words."""
    for fault in ("error", "crash", "hang", REFUSED):
        if fault in found:
            return fault
    same_grid = found["shape"] == expected["shape"] and np.allclose(found["affine"], expected["affine"], atol=1e-3)
    if same_grid and found["voxels"] == expected["voxels"]:
        return SAME
    if len(found["warnings"]) > len(expected["warnings"]):
        return WARNED
    return VOXELS if same_grid else GEOMETRY


def is_bad(damage: Damage, kind: str, found: dict[str, Any]) -> bool:
    """Whether this must not happen: faults, bad messages, and CTs that the file's redundancy shows to be wrong."""
    if kind in ("error", "crash", "hang") or found.get("megabytes", 0) > MEGABYTES:
        return True
    if kind == REFUSED:
        message = found[REFUSED]
        return str(damage.path) not in message or "\n" in message
    has_other_size = damage.kind in ("bytes inserted", "bytes removed", "truncated")
    if damage.place == "body" and (damage.format in COMPRESSED or has_other_size):
        return kind in (VOXELS, GEOMETRY, WARNED)
    # Both forms of NIfTI state the geometry, and so do the slices of a series together.
    return kind == GEOMETRY and damage.format.startswith(("nii", "dicom"))


def _detail(found: dict[str, Any], expected: dict[str, Any]) -> str:
    if "shape" not in found:
        return str(next(iter(found.values())))
    if found["shape"] != expected["shape"]:
        return f"shape {found['shape']}"
    if not np.allclose(found["affine"], expected["affine"]):
        return f"affine {np.round(found['affine'][:3], 3).tolist()}"
    return ""


def _print(counts: Counter[tuple[str, str]]) -> None:
    kinds = sorted({kind for _, kind in counts})
    table = Table("format", *kinds)
    for name in sorted({name for name, _ in counts}):
        table.add_row(name, *(str(counts[name, kind]) for kind in kinds))
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
