"""The options of each command as types: what `conf/<command>.yaml` holds, key by key.

Below a `_target_` the types are those of its constructor's parameters. A key that no type here names is refused.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from segment.bounds import Count, NotNegative, Positive, RealShare, Seed, Spacing, Workers
from segment.kind import NotEmpty, Range

Text = Annotated[str, NotEmpty()]
Built = dict[str, Any]  # a `_target_` with its arguments
Named = dict[str, Built | None]  # several; null leaves one out


class Recipe(TypedDict):
    """`conf/recipe.yaml` and its groups: what training and preparation share."""

    preprocess: Built
    augment: Built | None
    split: Built
    data: Built
    optimizer: Built
    scheduler: Built | None
    model: Built
    trainer: Built
    callbacks: NotRequired[Named]
    logger: NotRequired[Named]
    organs: list[Text]
    monitor: Text
    monitor_mode: Literal["max", "min"]
    seed: Seed
    spacing_mm: Spacing
    class_weights: dict[str, NotNegative] | None
    compile: bool
    task: Text
    output_dir: Text
    cache_dir: Text
    tolerance_mm: dict[str, Positive]


class Train(Recipe):
    """`segment train`."""

    anatomy: Built
    label_check: Literal["refuse", "warn", "ignore"]
    preflight: bool | Literal["only"]
    test: bool
    init_from: Text | None
    init_sha256: str | None
    resume: bool | Text
    from_run: Text | None
    allow_changed: list[str]
    run_dir: str | None


class Prepare(Recipe):
    """`segment prepare`."""

    run_dir: str
    accept_licence: bool
    store: bool
    export: Literal["nnunet"] | None
    export_to: Text | None
    cache: Literal["list", "explain", "prune"] | None
    unused_days: NotNegative


class Sources(TypedDict):
    """A `data` node of a command that samples no patches."""

    sources: dict[str, Built]
    exclude: NotRequired[list[str]]


class Inspection(TypedDict):
    """What commands that inspect or score a data set in a run folder share."""

    data: Sources
    split: NotRequired[Built | None]
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
    num_workers: Workers
    anatomy: Built
    code_tables: dict[str, Any]


class Evaluate(Inspection):
    """`segment evaluate`."""

    ckpt: Text | list[Text]
    ckpt_sha256: str | list[str] | None
    data_sha256: str | None
    tolerance_mm: dict[str, float] | None
    include_trained: bool
    pictures: bool
    device: Text
    trust: list[str]


class Predict(TypedDict):
    """`segment predict`."""

    ckpt: Text | list[Text]
    input: Text | list[Text]
    output: Text
    series: str | None
    straighten: bool
    device: Text
    pictures: bool
    resume: bool
    overwrite: bool
    trust: list[str]


class Compare(TypedDict):
    """`segment compare`."""

    runs: Text | list[Text]
    reference: str | None
    metrics: list[Literal["dice", "hd95_mm", "nsd"]]
    alpha: RealShare
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


class Sweep(TypedDict):
    """`segment sweep`."""

    sampler: Built
    pruner: Built | None
    space: dict[str, Any]
    overrides: list[str]
    trials: Count | None
    hours: Positive | None
    trial_hours: Positive | None
    seeds: Count
    workers: Count
    monitor: Text | None
    direction: Literal["maximize", "minimize", "max", "min"] | None
    seed: Seed
    task: Text
    output_dir: Text
    resume: bool | Text
    allow_changed: list[str]
    complete: bool
    searchpath: list[str]
    run_dir: str | None


SCHEMAS: dict[str, Any] = {
    "train": Train,
    "prepare": Prepare,
    "doctor": Doctor,
    "evaluate": Evaluate,
    "predict": Predict,
    "compare": Compare,
    "merge": Merge,
    "sweep": Sweep,
}
