"""Length, optimizer, schedule, augmentation, split and post-processing of a planned recipe."""

import math
from dataclasses import dataclass

from segment.plan.fingerprint import Fingerprint
from segment.plan.machine import Machine
from segment.plan.recipe import Line
from segment.plan.sizes import LEAST_STEPS, MOST_STEPS, Sizes
from segment.plan.start import STARTER_STEPS

TEST = 0.2  # share that tests, of conf/split/random.yaml, where the test patients are not known
EPOCHS = 20  # at least, if the steps allow it
STEPS = (LEAST_STEPS, 250)  # of an epoch; nnU-Net's has 250
LONG = 20_000  # steps from which SGD's slow start costs little
OFTEN = 50  # patches of a CT from which the network could know it by heart
VALIDATION = 0.1  # share of the training time that validations may take
FEW_VALIDATE = 4  # fewer patients make the choice of the best epoch a matter of luck
LEAST_LIMIT_ML = 0.1  # a limit must be positive
LEAST_ML = {"liver": 50, "right_kidney": 5, "left_kidney": 5, "spleen": 5}  # of conf/postprocess/default.yaml


@dataclass(frozen=True)
class Parts:
    """Numbers of CTs that train and validate."""

    train: int
    val: int


def parts_by_share(facts: Fingerprint, val: float) -> Parts:
    """The parts of a random split; both have a CT at least.

    Synthetic CTs from label maps do not validate, and those of patients who validate or test do not train.
    """
    test = round(TEST * facts.cases) if facts.test_patients is None else 0  # of the CTs in the fingerprint
    validate = max(1, round(val * facts.all_patients * facts.cases / facts.patients))
    train = (facts.cases - validate - test) * (1 + facts.made / facts.cases)
    return Parts(max(1, round(train)), validate)


def steps_per_epoch(steps: int) -> int:
    """Steps of an epoch, so that epochs use nearly all steps."""
    fewest, most = STEPS
    epochs = max(1, steps // min(max(steps // EPOCHS, fewest), most))
    return min(steps // epochs, most)


def choices(
    facts: Fingerprint, machine: Machine, sizes: Sizes, net: str, parts: Parts, starts_trained: bool
) -> list[Line]:
    """Options of the groups."""
    on_gpu, steps = machine.gpu_gb is not None, sizes.steps
    weights = f"{sizes.cost.weights / 1e6:.1f} million weights"
    lines = [Line("model/net", net, weights), _augment(facts, steps * sizes.batch / parts.train)]
    if steps >= LONG and not starts_trained:
        lines.append(Line("optimizer", "sgd", f"as in nnU-Net, because there are at least {LONG:,} steps"))
        lines.append(Line("scheduler", "poly", "as in nnU-Net"))
    else:
        known = "that of experiment=finetune"
        faster = f"learns faster than SGD in fewer than {LONG:,} steps"
        lines.append(Line("optimizer", "adamw", known if starts_trained else faster))
        lines.append(Line("scheduler", "warmup_cosine", "ends at 0, so that the last epochs settle"))
        lines.append(Line("callbacks", ["default", "ema"], "averaged weights smooth the end of a short training"))
    mixed = "mixed precision halves most activations" if on_gpu else "float32; most CPUs have nothing faster"
    lines.append(Line("trainer", "gpu" if on_gpu else "cpu", f"planned for {machine}; {mixed}"))
    return lines


def _augment(facts: Fingerprint, patches: float) -> Line:
    """The augmentation, for so many patches of each training CT."""
    cases = facts.cases + facts.made
    if 2 * facts.with_tissues > cases:
        share = f"{facts.with_tissues} of {cases} CTs have a tissue map"
        return Line("augment", "contrast", f"{share}, from which every patch gets a new contrast")
    thick = "" if not facts.thick else f", and simulates the thick slices of {facts.thick:.0%} of the CTs"
    per_case = f"{patches:.0f} patches of each training CT are seen"
    if patches >= OFTEN or facts.thick:
        return Line(
            "augment", "strong", f"{per_case}; large changes keep the network from knowing them by heart{thick}"
        )
    return Line("augment", "light", f"only {per_case}, so there is little to overfit")


def length_lines(
    facts: Fingerprint, machine: Machine, sizes: Sizes, hours: float, cases: int, starts_trained: bool
) -> list[Line]:
    """Epochs and validations of so many CTs."""
    per_epoch = steps_per_epoch(sizes.steps)
    epochs = sizes.steps // per_epoch
    windows = _windows(facts, machine, sizes)
    every = math.ceil(cases * windows / (3 * VALIDATION * per_epoch * sizes.batch))
    every = min(every, max(1, epochs // 5))
    epochs -= epochs % every  # the last epoch is validated
    step_s = sizes.cost.operations / machine.rate
    reason = (
        f"{epochs * per_epoch:,} steps of about {step_s:.2g} s ({sizes.cost.operations / 1e9:,.0f} GFLOP at "
        f"{machine.rate / 1e9:,.0f} GFLOP/s) fill hours={round(hours, 4):g}, with 15 % for validation and test. The "
        "pre-flight measures a step: if it forecasts another time, change this number"
    )
    if sizes.steps == MOST_STEPS:
        steps = f"{epochs * per_epoch:,} steps, about nnU-Net's length"
        reason = f"{steps}, need less than hours={round(hours, 4):g}; more change little"
    elif starts_trained and sizes.steps == STARTER_STEPS:
        steps = f"{epochs * per_epoch:,} steps, about as many as the starter weights were trained for"
        reason = f"{steps}, need less than hours={round(hours, 4):g}; more were not tried"
    seen = f"a validation of {cases} CTs has about {cases * windows} windows, each a third of a training patch"
    return [
        Line("trainer.max_epochs", epochs, reason),
        Line("trainer.check_val_every_n_epoch", every, f"{seen}; training shall get 90 % of the time"),
        Line(
            "callbacks.early_stopping", None, "the schedule ends training; stopping before wastes its last, best part"
        ),
    ]


def overlap(machine: Machine, sizes: Sizes) -> list[int]:
    """Voxels by which windows overlap: half of a patch on a GPU, a quarter on a CPU."""
    return [edge // (2 if machine.gpu_gb is not None else 4) for edge in sizes.patch]


def _windows(facts: Fingerprint, machine: Machine, sizes: Sizes) -> int:
    """Windows of a median CT."""
    axes = zip(facts.extent_mm, sizes.spacing_mm, sizes.patch, overlap(machine, sizes), strict=True)
    return math.prod(
        1 + math.ceil(max(0.0, extent / spacing - edge) / (edge - shared)) for extent, spacing, edge, shared in axes
    )


def split_lines(facts: Fingerprint, split: str, parts: Parts | None) -> tuple[Parts, list[Line]]:
    """The parts, and the settings of the split.

    Args:
        facts: The fingerprint of the data set.
        split: Name of a file of conf/split. Only `random` has settings.
        parts: The parts that another split gives; None: not known, as without the data.
    """
    patients = facts.all_patients
    val = min(0.3, max(0.15, round(FEW_VALIDATE / patients, 2)))
    if split != "random":
        known = parts or parts_by_share(facts, val)
        counts = f"{known.train} CTs train and {known.val} validate"
        assumed = "" if parts else "without the data it is assumed that "
        return known, [Line("", None, f"split: as split={split} says; {assumed}{counts}")]
    reason = f"{round(val * patients)} of {patients} patients choose the best epoch"
    lines = [
        Line("split.val", val, reason),
        Line("split.folds", 5, "for -m 'split.fold=range(5)' split.test=0, which tests every patient once"),
    ]
    return parts_by_share(facts, val), lines


def postprocess_lines(facts: Fingerprint) -> list[Line]:
    """Smaller limits, where the data set shows smaller organs."""
    smaller = {}
    for organ, least in LEAST_ML.items():
        found = facts.organs.get(organ)
        if found is not None and found.smallest_ml is not None and found.smallest_ml < 2 * least:
            smaller[organ] = max(LEAST_LIMIT_ML, round(found.smallest_ml / 2, 1))
    if not smaller:
        remark = "postprocess: the default; no organ in these CTs is near the limits below which it removes one"
        return [Line("", None, remark)]
    reason = "half of the smallest whole organ in these CTs, where that is below the default limit"
    return [Line(f"postprocess.small.min_ml.{organ}", least, reason) for organ, least in smaller.items()]
