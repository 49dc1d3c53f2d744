"""The plan: a pure function of fingerprint, machine and hours."""

import math
import shlex

from segment.errors import UserError
from segment.plan.cost import MakeNet, step_cost
from segment.plan.fingerprint import Fingerprint
from segment.plan.intensities import intensity_lines
from segment.plan.machine import Machine
from segment.plan.recipe import Line, Recipe
from segment.plan.sizes import LEAST_STEPS, MOST_STEPS, Search, Sizes, finest_spacing
from segment.plan.topology import make_topology, round_patch
from segment.plan.training import (
    Parts,
    choices,
    length_lines,
    overlap,
    postprocess_lines,
    split_lines,
    steps_per_epoch,
)

STARTER_ORGANS = {"liver", "right_kidney", "left_kidney", "spleen"}
STARTER_RATE = 2e-4  # of AdamW, as in conf/experiment/finetune.yaml
STARTER_PATIENTS = 10  # up to this many, starter weights are worth more than finer voxels
STARTER_SPACING = (3.0, 3.0, 3.0)
STARTER_PATCH = 80


def plan(
    facts: Fingerprint,
    machine: Machine,
    hours: float,
    net: str,
    make_net: MakeNet,
    name: str,
    split: str = "random",
    parts: Parts | None = None,
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

    Raises:
        UserError: When there is a single patient, the network cannot be planned, or nothing fits.
    """
    if facts.patients < 2:
        besides = " besides those who test" if facts.test_patients else ""
        msg = (
            f"{facts.name} has one patient{besides}, who cannot both train and validate; label another one, or train "
            "and test on the same CT with experiment=overfit"
        )
        raise UserError(msg)
    starts_trained = net == "vnet" and set(facts.organs) <= STARTER_ORGANS and facts.all_patients <= STARTER_PATIENTS
    search = Search(facts, machine, hours, net, make_net)
    sizes = _of_starter(search, make_net) if starts_trained else search.run()
    parts, shares = split_lines(facts, split, parts)
    lines = [
        Line("task", name, "name of the folder of its runs"),
        *_start_lines(facts, starts_trained),
        Line("spacing_mm", list(sizes.spacing_mm), _why_spacing(facts, sizes, starts_trained)),
        *([] if starts_trained else intensity_lines(facts)),
        *_data_lines(facts, machine, sizes),
        *shares,
        *_model_lines(sizes, machine),
        *_label_remark(facts),
        *postprocess_lines(facts),
        *length_lines(facts, machine, sizes, hours, parts.val),
    ]
    command = shlex.join(["segment", "train", f"experiment={name}", f"data={facts.name}"])
    groups = choices(facts, machine, sizes, net, parts, starts_trained)
    return Recipe(command, _summary(facts, machine, hours), groups, lines)


def _summary(facts: Fingerprint, machine: Machine, hours: float) -> list[str]:
    spacing, shape = (" x ".join(f"{n:g}" for n in axes) for axes in (facts.spacing_mm, facts.shape))
    partial = f", {facts.partial} of them partly labelled" if facts.partial else ""
    return [
        f"Planned by `segment plan` for {facts.cases} CTs of {facts.patients} patients{partial}; median {shape} voxels "
        f"of {spacing} mm.",
        f"Machine: {machine}; hours={round(hours, 4):g}.",
    ]


def _of_starter(search: Search, make_net: MakeNet) -> Sizes:
    """The voxels and the network of the starter weights.

    Raises:
        UserError: When they do not fit.
    """
    topology = make_topology(STARTER_SPACING, [STARTER_PATCH] * 3, 2)
    wished = []  # at least two voxels on the coarsest grid, which normalisation needs
    for extent, spacing, multiple in zip(search.facts.extent_mm, STARTER_SPACING, topology.multiple, strict=True):
        wished.append(min(STARTER_PATCH, max(2 * multiple, extent / spacing)))
    patch = round_patch(wished, topology.multiple)
    cost = step_cost(make_net({}), 2, patch, search.machine, math.inf)
    steps = min(MOST_STEPS, int(search.operations / cost.operations))
    sizes = Sizes(finest_spacing(search.facts), STARTER_SPACING, patch, 2, topology, {}, cost, steps)
    limit = search.why_not(sizes, LEAST_STEPS)
    if limit:
        msg = f"training from the starter weights does not fit: {limit}; raise hours=, or name a larger device="
        raise UserError(msg)
    return sizes


def _start_lines(facts: Fingerprint, starts_trained: bool) -> list[Line]:
    if not starts_trained:
        few = f"are for the default network, their own organs and at most {STARTER_PATIENTS} patients"
        return [Line("", None, f"init_from: nothing; the starter weights {few}")]
    few = f"{facts.all_patients} patients are at most {STARTER_PATIENTS}, too few to train from scratch"
    return [
        Line("init_from", "starter", f"{few}; voxels, window and network are those of the starter weights"),
        Line("optimizer.lr", STARTER_RATE, "that of experiment=finetune; larger ones destroy what these weights know"),
    ]


def _why_spacing(facts: Fingerprint, sizes: Sizes, starts_trained: bool) -> str:
    if starts_trained:
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
