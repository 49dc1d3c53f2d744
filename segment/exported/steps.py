"""The steps before and after the network in plain values: from a checkpoint's objects, and back to objects.

An exported file can only name the steps of this module, so it cannot make a program import or call anything else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torchio as tio

from segment.errors import UserError
from segment.inference.postprocess.clean_up import CleanUp
from segment.inference.postprocess.place import WIDER, RemoveMisplaced
from segment.inference.postprocess.steps import FillHoles, RemoveFragments, RemoveSmall
from segment.inference.segmenter import PostProcess
from segment.preprocess.normalize import Standardize, WindowHU
from segment.preprocess.resample import Resample

Step = dict[str, Any]  # its name and its arguments

# The same names are in segment_onnx.py.
_BUILD: Mapping[str, Callable[..., Any]] = {
    "resample": lambda spacing_mm=None, size=None: Resample(spacing_mm=spacing_mm, size=size),
    "window_hu": lambda low, high: WindowHU((low, high)),
    "standardize": lambda mean, std: Standardize(mean, std),
    "rescale": lambda low, high: tio.RescaleIntensity((low, high)),
    "z_normalize": lambda: tio.ZNormalization(),
}
_KINDS = {kind.__name__: kind for kind in (RemoveMisplaced, RemoveFragments, RemoveSmall, FillHoles)}  # of `CleanUp`


def describe_preprocessing(transform: tio.Transform) -> list[Step]:
    """The steps of a transform in plain values. The reorientation to RAS+, which comes first, is left out.

    Raises:
        UserError: When a step cannot be exported.
    """
    if isinstance(transform, tio.Compose):
        steps = []
        for part in transform.transforms:
            steps += describe_preprocessing(part)
        return steps
    if isinstance(transform, tio.ToCanonical):
        return []
    step = _describe(transform) if transform.probability == 1 else None
    if step is None:
        known = "Resample, WindowHU, Standardize, RescaleIntensity and ZNormalization without masks"
        msg = f"the preprocessing has {type(transform).__name__}, which cannot be exported; exported files know {known}"
        raise UserError(msg)
    return [step]


def _describe(transform: tio.Transform) -> Step | None:
    """One step in plain values, or None if it is of another kind. Subclasses are other kinds."""
    kind = type(transform)
    if kind is Resample:
        chosen = ("spacing_mm", transform.spacing_mm) if transform.spacing_mm else ("size", transform.size)
        return {"name": "resample", chosen[0]: list(chosen[1])}
    if kind is WindowHU:
        return {"name": "window_hu", "low": transform.window_hu[0], "high": transform.window_hu[1]}
    if kind is Standardize:
        return {"name": "standardize", "mean": transform.mean, "std": transform.std}
    if getattr(transform, "masking_method", None) is not None:
        return None
    if kind is tio.RescaleIntensity and transform.percentiles == (0, 100) and transform.in_min_max is None:
        return {"name": "rescale", "low": float(transform.out_min), "high": float(transform.out_max)}
    return {"name": "z_normalize"} if kind is tio.ZNormalization else None


def describe_postprocessing(postprocess: PostProcess | None) -> Step | None:
    """The post-processing in plain values.

    Raises:
        UserError: When it, or one of its steps, cannot be exported.
    """
    if postprocess is None:
        return None
    if type(postprocess) is not CleanUp:
        msg = f"the post-processing is {type(postprocess).__name__}; exported files know CleanUp"
        raise UserError(msg)
    steps = []
    for name, step in postprocess.steps.items():
        kind = type(step).__name__
        if _KINDS.get(kind) is not type(step):
            msg = f"the post-processing has {kind}, which cannot be exported; exported files know {', '.join(_KINDS)}"
            raise UserError(msg)
        steps.append({"name": name, "kind": kind, "arguments": _plain(_arguments(step))})
    left_out = {name: organs for name, organs in postprocess.left_out.items() if name in postprocess.steps}
    return {"name": "clean_up", "steps": steps, "left_out": _plain(left_out)}


def _arguments(step: Any) -> Step:  # noqa: ANN401
    """The arguments of a step of `CleanUp`, which it keeps under their names."""
    arguments = dict(vars(step))
    if isinstance(step, RemoveMisplaced):
        arguments["spread_mm"] = step.spread_mm / WIDER
    return arguments


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Dictionaries, lists and numbers for JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def build_preprocessing(steps: Sequence[Step]) -> tio.Compose:
    """The transform of these steps.

    Raises:
        UserError: When a step is unknown or has wrong arguments.
    """
    return tio.Compose([_build(step, _BUILD) for step in steps])


def build_postprocessing(step: Step | None, organs: Sequence[str]) -> PostProcess | None:
    """The post-processing of a step; None for none.

    Raises:
        UserError: As `build_preprocessing`.
    """
    if step is None:
        return None

    def clean_up(steps: Sequence[Step], left_out: Mapping[str, Sequence[str]]) -> CleanUp:
        built = {part["name"]: _build({"name": part["kind"], **part["arguments"]}, _KINDS) for part in steps}
        return CleanUp(organs, built, left_out)

    return cast(PostProcess, _build(step, {"clean_up": clean_up}))


def _build(step: Step, known: Mapping[str, Callable[..., Any]]) -> Any:  # noqa: ANN401
    name = str(step.get("name"))
    if name not in known:
        msg = f"it has the step {name!r}, and this version knows {', '.join(known)}; export the checkpoint again"
        raise UserError(msg)
    try:
        return known[name](**{key: value for key, value in step.items() if key != "name"})
    except (TypeError, ValueError, AttributeError) as error:
        msg = f"its step {name} has wrong arguments ({error}); export the checkpoint again"
        raise UserError(msg) from error
