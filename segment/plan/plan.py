"""The plan: a pure function of fingerprint, machine and hours."""

import math
import shlex

from segment.errors import UserError
from segment.plan.cost import MakeNet
from segment.plan.fingerprint import Fingerprint
from segment.plan.intensities import intensity_lines
from segment.plan.machine import Machine
from segment.plan.recipe import Line, Recipe
from segment.plan.sizes import Search, Sizes
from segment.plan.start import AUTO, Start, choose_start
from segment.plan.training import (
    Parts,
    choices,
    length_lines,
    overlap,
    postprocess_lines,
    split_lines,
    steps_per_epoch,
)


def plan(
    facts: Fingerprint,
    machine: Machine,
    hours: float,
    net: str,
    make_net: MakeNet,
    name: str,
    split: str = "random",
    parts: Parts | None = None,
    init_from: str | None = AUTO,
) -> Recipe:
    """Plan a recipe.

    Equal arguments give equal files, byte for byte.

    Args:
        facts: The fingerprint of the data set.
        machine: The machine.
        hours: Hours that the run may take.
        net: Name of a file of conf/model/net.
        make_net: Builds this network on the meta device from keys of `model.net`.
        name: Name of the experiment.
        split: Name of a file of conf/split. Only `random` has shares to plan.
        parts: Numbers of CTs that another split gives; None: not known.
        init_from: Weights to begin with: `auto`, `starter`, or None for a training from scratch.

    Raises:
        UserError: When there is a single patient, the network cannot be planned, or nothing fits; when the
            starter weights are wanted, but have another network or other organs.
    """
    if facts.patients < 2:
        besides = " besides those who test" if facts.test_patients else ""
        msg = (
            f"{facts.name} has one patient{besides}, who cannot both train and validate; label another one, or train "
            "and test on the same CT with experiment=overfit"
        )
        raise UserError(msg)
    start = choose_start(Search(facts, machine, hours, net, make_net), make_net, init_from)
    sizes = start.sizes
    parts, shares = split_lines(facts, split, parts)
    lines = [
        Line("task", name, "name of the folder of its runs"),
        *start.lines(),
        Line("spacing_mm", list(sizes.spacing_mm), _why_spacing(facts, start)),
        *([] if start.is_trained else intensity_lines(facts)),
        *_data_lines(facts, machine, sizes),
        *shares,
        *_model_lines(sizes, machine),
        *_label_remark(facts),
        *postprocess_lines(facts),
        *length_lines(facts, machine, sizes, hours, parts.val, start.is_trained),
    ]
    command = shlex.join(["segment", "train", f"experiment={name}", f"data={facts.name}"])
    groups = choices(facts, machine, sizes, net, parts, start.is_trained)
    return Recipe(command, _summary(facts, machine, hours), groups, lines)


def _summary(facts: Fingerprint, machine: Machine, hours: float) -> list[str]:
    spacing, shape = (" x ".join(f"{n:g}" for n in axes) for axes in (facts.spacing_mm, facts.shape))
    partial = f", {facts.partial} of them partly labelled" if facts.partial else ""
    made = f", and {facts.made} CTs synthesised from label maps" if facts.made else ""
    return [
        f"Planned by `segment plan` for {facts.cases} CTs of {facts.patients} patients{partial}{made}; median {shape} "
        f"voxels of {spacing} mm.",
        f"Machine: {machine}; hours={round(hours, 4):g}.",
    ]


def _why_spacing(facts: Fingerprint, start: Start) -> str:
    sizes = start.sizes
    if start.is_trained:
        return "that of the starter weights"
    fine = " x ".join(f"{s:g}" for s in sizes.fine_mm)
    slices = f", and the slices from {facts.spacing_low_mm[2]:g} to {facts.spacing_high_mm[2]:g} mm"
    if sizes.spacing_mm == sizes.fine_mm:
        return f"the CTs' own: their median voxels have {fine} mm{slices}"
    return f"the CTs would allow {fine} mm{slices}; the last finer size that was tried: {sizes.limit}"


def _data_lines(facts: Fingerprint, machine: Machine, sizes: Sizes) -> list[Line]:
    field_mm = [n * s for n, s in zip(sizes.patch, sizes.spacing_mm, strict=True)]
    field, seen = (" x ".join(f"{edge:.0f}" for edge in edges) for edges in (field_mm, facts.extent_mm))
    shown = min(1, math.prod(field_mm) / math.prod(facts.extent_mm))
    view = f"{field} mm of a median field of view of {seen} mm, {shown:.0%} of its volume"
    needed = f"a step needs {sizes.cost.needed / 1e9:.1f} GB in use, of {machine.room / 1e9:.1f} GB that it may use"
    per_epoch = steps_per_epoch(sizes.steps) * sizes.batch
    workers = min(8, max(1, machine.cores - 1)) if machine.gpu_gb is not None else min(2, machine.cores)
    annotated = [found.median_ml or 0 for found in facts.organs.values()]
    body = math.prod(facts.extent_mm) / 1000
    known = any(annotated)
    share = f"the organs fill {sum(annotated) / body:.1%} of a CT" if known else "organs fill a small part of a CT"
    around = f"{share}, so two thirds of the patches are placed around one; in nnU-Net, at least a third"
    return [
        Line("data.patch_size", list(sizes.patch), view),
        Line("data.batch_size", sizes.batch, needed),
        Line("data.patches_per_epoch", per_epoch, f"{per_epoch // sizes.batch} steps; epochs only divide the run"),
        Line("data.foreground_share", 0.67, around),
        Line("data.num_workers", workers, machine.cores_in_words),
    ]


def _label_remark(facts: Fingerprint) -> list[Line]:
    if not facts.partial:
        return []
    counts = ", ".join(f"{organ} {found.annotated}" for organ, found in facts.organs.items())
    remark = f"criterion: the default; it leaves out organs that a CT does not label. CTs that label each: {counts}"
    return [Line("", None, remark)]


def _model_lines(sizes: Sizes, machine: Machine) -> list[Line]:
    spacing = " x ".join(f"{s:g}" for s in sizes.spacing_mm)
    halvings = [sizes.patch[axis] // max(1, multiple) for axis, multiple in enumerate(sizes.topology.multiple)]
    coarsest = " x ".join(map(str, halvings))
    on_gpu = machine.gpu_gb is not None
    begins_coarse = max(sizes.topology.stem) > 1
    reasons = {
        "base_channels": "widths double with every level",
        "strides": f"voxels of {spacing} mm: an axis is halved while its voxels are at most twice the smallest; the "
        f"coarsest grid of a patch has {coarsest}",
        "kernel_size": "a kernel spans an axis only where its voxels are at most twice the smallest",
        "stem_stride": "a coarser first grid saves most of the time of a CPU" if begins_coarse else "full resolution",
        "deep_supervision": "as in nnU-Net" if on_gpu else "the default network for CPUs was chosen without it",
    }
    lines = []
    for key, value in sizes.net.items():
        lines.append(Line(f"model.net.{key}", value, reasons.get(key, "follows from depth and widths")))
    why = "half of a patch, as in nnU-Net" if on_gpu else "a quarter: windows cost time on a CPU"
    return [*lines, Line("model.inferer.overlap", overlap(machine, sizes), why)]
