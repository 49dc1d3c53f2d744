"""Hashes that tell whether two preprocessed volumes, or two CTs, are the same."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchio as tio

from segment.datasets.cases import Case
from segment.errors import UserError
from segment.io.scan import case_name

VERSION = 5  # raise it when code changes what preprocessing computes or what a stored volume consists of


def identity(
    case: Case, transform: tio.Transform, organs: Sequence[str], hash_of: Callable[[Path], str] | None = None
) -> dict[str, Any]:
    """All that decides a preprocessed volume, as plain values: the files' content, settings, and the code's `VERSION`.

    Names and places of the files do not matter, but for the suffix that tells how to read them.

    Args:
        case: The case.
        transform: Its preprocessing.
        organs: Class i is organs[i-1].
        hash_of: What knows `content_hash` without reading a file again; None: nothing does.

    Raises:
        UserError: When a file cannot be read, or the preprocessing holds something that has no plain value.
    """
    hash_of = hash_of or content_hash
    facts = {
        "image": hash_of(case.image),
        "series": case.series,
        "label files": [hash_of(path) for path in case.label.files],
        "label": case.label.facts,
        "organs": list(organs),
        "preprocess": settings(transform),
        "code": [VERSION, tio.__version__],
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts))  # as it reads from a file
    return plain


def fingerprint(decides: Mapping[str, Any]) -> str:
    """Hash of an identity."""
    return blake2b(json.dumps(decides).encode(), digest_size=16).hexdigest()


def content_hash(path: Path) -> str:
    """Hash of a file and its suffix, or of the files of a folder in the order of their names.

    Raises:
        UserError: When a file cannot be read.
    """
    digest = blake2b(path.name.removeprefix(case_name(path)).encode(), digest_size=16)
    try:
        for file in files_of(path):
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; check the file, or where it links to"
        raise UserError(msg) from error
    return digest.hexdigest()


def files_of(path: Path) -> list[Path]:
    """A file itself, or the files of a folder in the order of their names."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def voxel_hash(data: np.ndarray) -> str:
    """Hash of a CT's voxels, whatever file, compression or orientation of storage they came in.

    The sorted extent and the histogram of HU stay the same under any of the 48 orientations; two different CTs
    sharing both do not occur in practice.

    Args:
        data: (I,J,K) as `read_ct` gives it: int16, or float32 without NaN.
    """
    if data.dtype == np.int16:
        counts = np.zeros(2**16, dtype=np.int64)
        # Plane by plane as they lie in memory: a sort of 512×512×300 voxels takes seconds, a wider copy gigabytes.
        for plane in data.T if data.flags.f_contiguous else data:
            counts += np.bincount(plane.astype(np.int32).ravel() + 2**15, minlength=2**16)
        values = np.flatnonzero(counts) - 2**15
        counts = counts[counts > 0]
    else:
        values, counts = np.unique(data, return_counts=True)
    digest = blake2b(json.dumps(sorted(data.shape)).encode(), digest_size=16)
    digest.update((values + 0.0).astype("<f4").tobytes())  # + 0.0: either zero may stand for both
    digest.update(counts.astype("<i8").tobytes())
    return digest.hexdigest()


def settings(value: Any) -> Any:  # noqa: ANN401
    """A transform as plain values for JSON: its class and every attribute.

    TorchIO's own description (`to_hydra_config`) knows only what a class lists in `args_names`, which leaves out the
    value of Mask, the multiple of EnsureShapeMultiple, the transforms of OneOf, and `p` and `keep` of all.
    """
    source = _source(value)
    if source is not None:
        return [source, *([settings(vars(value))] if isinstance(value, tio.Transform) else [])]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tio.Transform):
        return [f"{type(value).__module__}.{type(value).__qualname__}", settings(vars(value))]
    if isinstance(value, Mapping):
        return [[settings(key), settings(item)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [settings(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    if isinstance(value, torch.dtype):
        return str(value)
    name = getattr(value, "__qualname__", "<")
    is_bound = not isinstance(getattr(value, "__self__", None), tio.Transform | None)
    if "<" in name or is_bound:  # a lambda, an inner function or a method: its name does not tell what it does
        msg = (
            f"preprocessing holds {value!r}, which cannot be distinguished from another; use a function or class of "
            "a module"
        )
        raise UserError(msg)
    return f"{value.__module__}.{name}"


def _source(value: Any) -> list[str] | None:  # noqa: ANN401
    """Name and code of a transform or function of the user's own, which `VERSION` knows nothing of; else None."""
    own = type(value) if isinstance(value, tio.Transform) else value if inspect.isfunction(value) else None
    if own is None or own.__module__.split(".")[0] in ("segment", "torchio") or "<" in own.__qualname__:
        return None
    code = blake2b(inspect.getsource(own).encode(), digest_size=16).hexdigest()
    return [f"{own.__module__}.{own.__qualname__}", code]
