"""Hashes that show whether two preprocessed volumes, or two CTs, are the same."""

import inspect
import json
import sys
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

VERSION = 7  # raise it when the code changes the result of preprocessing or the files of a stored volume


def identity(
    case: Case, transform: tio.Transform, organs: Sequence[str], hash_of: Callable[[Path], str] | None = None
) -> dict[str, Any]:
    """Everything that determines a preprocessed volume, as plain values: files' content, settings, code `VERSION`.

    Names and folders of the files do not matter, except for the suffix, which determines how a file is read.

    Args:
        case: The case.
        transform: Its preprocessing.
        organs: Class i is organs[i-1].
        hash_of: Replaces `content_hash`, for example by a record of hashes; None: every file is read.

    Raises:
        UserError: When a file cannot be read, or a setting of the preprocessing has no plain value.
    """
    hash_of = hash_of or content_hash
    values = {
        "image": hash_of(case.image),
        "series": case.series,
        "label files": [hash_of(path) for path in case.label.files],
        "label": case.label.cache_key,
        "tissue map": case.tissues and hash_of(case.tissues),
        "organs": list(organs),
        "preprocess": settings(transform),
        "code": [VERSION, tio.__version__],
    }
    plain: dict[str, Any] = json.loads(json.dumps(values))  # equal to what is read from identity.json
    return plain


def fingerprint(volume_identity: Mapping[str, Any]) -> str:
    """Hash of an `identity`, the name of the volume's folder."""
    return blake2b(json.dumps(volume_identity).encode(), digest_size=16).hexdigest()


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
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file())


def voxel_hash(data: np.ndarray) -> str:
    """Hash of a CT's voxels that does not depend on the file's format, compression or orientation.

    It is computed from the sorted shape and the histogram of HU, which are the same in all 48 orientations. Two
    different CTs with the same shape and histogram do not occur in practice.

    Args:
        data: (I,J,K) as from `read_ct`: int16, or float32 without NaN.
    """
    if data.dtype == np.int16:
        counts = np.zeros(2**16, dtype=np.int64)
        # Planes are counted one by one, in memory order. Sorting 512×512×300 voxels would take seconds, and converting
        # all of them to int32 gigabytes.
        planes = data.T if data.flags.f_contiguous else data
        for plane in planes:
            counts += np.bincount(plane.astype(np.int32).ravel() + 2**15, minlength=2**16)
        values = np.flatnonzero(counts) - 2**15
        counts = counts[counts > 0]
    else:
        values, counts = np.unique(data, return_counts=True)
    digest = blake2b(json.dumps(sorted(data.shape)).encode(), digest_size=16)
    digest.update((values + 0.0).astype("<f4").tobytes())  # + 0.0 turns -0.0 into 0.0
    digest.update(counts.astype("<i8").tobytes())
    return digest.hexdigest()


def settings(value: Any) -> Any:  # noqa: ANN401
    """A transform as plain values for JSON: its class and all attributes.

    TorchIO's description (`to_hydra_config`) contains only the attributes that a class lists in `args_names`. It lacks
    the value of Mask, the multiple of EnsureShapeMultiple, the transforms of OneOf, and `p` and `keep` of all classes.

    Raises:
        UserError: When an attribute, for example a lambda, cannot be distinguished from another.
    """
    source = _source(value)
    if source is not None:
        return [source, settings(vars(value))] if isinstance(value, tio.Transform) else [source]
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
    if "<" in name or is_bound:  # a lambda, inner function or method: two different ones can have the same name
        msg = (
            f"preprocessing holds {value!r}, which cannot be distinguished from another; use a function or class of "
            "a module"
        )
        raise UserError(msg)
    return f"{value.__module__}.{name}"


def _source(value: Any) -> list[str] | None:  # noqa: ANN401
    """Name and hash of the code of a transform or function that the user wrote, which has no `VERSION`; else None.

    The code is that of its module and of the modules of its base classes. Other modules that these import are not part
    of it.
    """
    if isinstance(value, tio.Transform):
        definitions: list[Any] = list(type(value).__mro__)
    elif inspect.isfunction(value):
        definitions = [value]
    else:
        return None
    first = definitions[0]
    if _is_versioned(first) or "<" in first.__qualname__:
        return None
    modules: dict[str, str] = {}
    for definition in definitions:
        if not _is_versioned(definition):
            modules.setdefault(definition.__module__, _module_source(definition))
    code = blake2b(json.dumps(modules).encode(), digest_size=16).hexdigest()
    return [f"{first.__module__}.{first.__qualname__}", code]


def _is_versioned(definition: Any) -> bool:  # noqa: ANN401
    """Whether a class or function changes only with a version that is part of a fingerprint anyway."""
    return definition.__module__.split(".")[0] in ("segment", "torchio", "torch", "abc", "typing", "builtins")


def _module_source(definition: Any) -> str:  # noqa: ANN401
    """Source of the module of a class or function; of the definition alone, if the module has no file."""
    try:
        return inspect.getsource(sys.modules[definition.__module__])
    except (KeyError, OSError, TypeError):  # in a notebook
        return inspect.getsource(definition)
