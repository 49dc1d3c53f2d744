"""The types of each command's options: one `TypedDict` for each `conf/<command>.yaml`.

Keys that are missing here are refused. Below a `_target_`, the annotations of its constructor decide instead.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from segment.bounds import NonNegativeFloat, OpenShare, PositiveFloat, PositiveInt, Seed, Spacing, Workers
from segment.constraints import NotEmpty, Range
from segment.metrics.definitions import METRICS

Text = Annotated[str, NotEmpty()]
TargetNode = dict[str, Any]  # a `_target_` and its arguments
TargetNodes = dict[str, TargetNode | None]  # by name; null removes one

LabelCheck = Literal["refuse", "warn", "ignore"]
Preflight = bool | Literal["only"]


class Recipe(TypedDict):
    """`conf/recipe.yaml` and its groups, which `segment train`, `prepare`, `plan` and `curve` share."""

    anatomy: TargetNode
    preprocess: TargetNode
    postprocess: TargetNodes
    augment: TargetNode | None
    split: TargetNode
    data: TargetNode
    optimizer: TargetNode
    scheduler: TargetNode | None
    model: TargetNode
    trainer: TargetNode
    callbacks: NotRequired[TargetNodes]
    logger: NotRequired[TargetNodes]
    organs: list[Text]
    monitor: Text
    monitor_mode: Literal["max", "min"]
    seed: Seed
    spacing_mm: Spacing
    class_weights: dict[str, NonNegativeFloat] | None
    compile: bool
    task: Text
    output_dir: Text
    cache_dir: Text
    tolerance_mm: dict[str, PositiveFloat]


class Train(Recipe):
    """`segment train`."""

    label_check: LabelCheck
    preflight: Preflight
    test: bool
    page: bool
    init_from: Text | None
    resume: bool | Text
    from_run: Text | None
    allow_changed: list[str]
    run_dir: str | None


class Prepare(Recipe):
    """`segment prepare`. It takes the experiments of training, so it ignores the options of training in them."""

    label_check: NotRequired[LabelCheck]
    preflight: NotRequired[Preflight]
    test: NotRequired[bool]
    page: NotRequired[bool]
    init_from: NotRequired[Text | None]
    resume: NotRequired[bool | Text]
    from_run: NotRequired[Text | None]
    allow_changed: NotRequired[list[str]]
    run_dir: str
    accept_licence: bool
    store: bool
    export: Literal["nnunet"] | None
    export_to: Text | None
    cache: Literal["list", "explain", "prune"] | None
    unused_days: NonNegativeFloat


class Plan(Recipe):
    """`segment plan`."""

    run_dir: str
    hours: Annotated[float, Range(0, 10_000, excluded=(0,))]
    device: Text | None
    net: Text
    init_from: Literal["auto", "starter"] | None
    name: Text | None
    folder: Text
    fingerprint: Text | None
    explain: list[Text] | None
    overwrite: bool


class Sources(TypedDict):
    """The `data` node of a command that reads whole volumes instead of patches."""

    sources: dict[str, TargetNode]
    exclude: NotRequired[list[str]]


class Inspection(TypedDict):
    """Options that `segment doctor` and `segment evaluate` share."""

    data: Sources
    split: NotRequired[TargetNode | None]
    task: Text
    seed: Seed
    output_dir: Text
    cache_dir: Text
    resume: bool | Text
    allow_changed: list[str]
    run_dir: str | None


class Doctor(Inspection):
    """`segment doctor`."""

    strict: bool
    page: bool
    num_workers: Workers
    anatomy: TargetNode
    code_tables: dict[str, Any]


class Evaluate(Inspection):
    """`segment evaluate`."""

    ckpt: Text | list[Text]
    include_trained: bool
    postprocess: TargetNodes
    tta: list[Literal["mirrored", "moved", "scaled"]]  # the keys of `segment.inference.views.VIEWS`
    tune_postprocessing: bool
    confidence: Literal["calibrate", "check"] | None
    faults: Annotated[int, Range(0, 100)]
    pictures: bool
    page: bool
    device: Text
    trust: list[str]


class Predict(TypedDict):
    """`segment predict`."""

    ckpt: Text | list[Text]
    input: Text | list[Text]
    output: Text
    series: str | None
    straighten: bool
    organs: list[Text] | None
    organ_files: bool
    dicom_seg: bool
    exact: bool
    tta: list[Literal["mirrored", "moved", "scaled"]]  # the keys of `segment.inference.views.VIEWS`
    device: Text
    engine: Literal["auto", "torch", "onnx", "openvino"]
    pictures: bool
    page: bool
    resume: bool
    overwrite: bool
    watch: bool
    settle_s: PositiveFloat
    trust: list[str]
    anatomy: TargetNode


class Export(TypedDict):
    """`segment export`."""

    ckpt: Text
    output: Text
    input: Text | None
    series: str | None
    overwrite: bool
    trust: list[str]


class Compare(TypedDict):
    """`segment compare`."""

    runs: Text | list[Text]
    reference: str | None
    metrics: list[Literal[*METRICS]]  # type: ignore[valid-type]
    alpha: OpenShare
    resamples: Annotated[int, Range(999)]
    seed: Seed
    wandb: str | None
    output_dir: Text
    output: Text


class Merge(TypedDict):
    """`segment merge`."""

    runs: Text | list[Text]
    output: Text | None
    overwrite: bool


class View(TypedDict):
    """`segment view`."""

    anatomy: TargetNode
    path: Text | list[Text]
    output: Text | None
    input: Text | list[Text] | None
    series: str | None
    reference: Text | None
    reference_codes: dict[str, Any] | None
    max_mb: PositiveFloat


class Sweep(TypedDict):
    """`segment sweep`."""

    sampler: TargetNode
    pruner: TargetNode | None
    space: dict[str, Any]
    overrides: list[str]
    trials: PositiveInt | None
    hours: PositiveFloat | None
    trial_hours: PositiveFloat | None
    seeds: PositiveInt
    workers: PositiveInt
    page: bool
    monitor: Text | None
    direction: Literal["maximize", "minimize", "max", "min"] | None
    seed: Seed
    task: Text
    output_dir: Text
    resume: bool | Text
    allow_changed: list[str]
    run_dir: str | None


class Curve(Recipe):
    """`segment curve`: its own options, and those of its trainings."""

    label_check: Literal["refuse", "warn", "ignore"]
    preflight: bool
    test: bool
    page: bool
    init_from: Text | None
    resume: bool | Text
    allow_changed: list[str]
    run_dir: str | None
    sizes: list[PositiveInt] | None
    repeats: Annotated[int, Range(2)]
    target: OpenShare
    workers: PositiveInt
    rank: Text | None
    ckpt: Text | list[Text]
    trust: list[str]


SCHEMAS: dict[str, Any] = {
    "train": Train,
    "prepare": Prepare,
    "plan": Plan,
    "doctor": Doctor,
    "evaluate": Evaluate,
    "predict": Predict,
    "export": Export,
    "compare": Compare,
    "merge": Merge,
    "sweep": Sweep,
    "curve": Curve,
    "view": View,
}
