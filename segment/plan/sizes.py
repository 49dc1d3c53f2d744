"""Choose voxel size, patch, network and batch together: each limits the others."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from segment.errors import UserError
from segment.plan.cost import Cost, MakeNet, step_cost
from segment.plan.families import WITH_STEM, keys_of
from segment.plan.fingerprint import Fingerprint
from segment.plan.machine import Machine
from segment.plan.topology import Topology, cover_patch, make_topology, round_patch

FIELD_MM = 192.0  # a patch shows this much of the body, or the whole CT: a liver is about 200 mm wide
# A training of fewer steps than SHORT gets a wider field: SHARE of the CT's volume, but at most that of `quick`. From
# 182 mm of whole trunks, one of three trainings of 650 steps did not learn right and left. A quarter, below which
# nnU-Net plans a network for coarser voxels, too (`3d_lowres`), was worse on CTs of the abdomen; see docs/plans.md.
SHORT, SHARE, WIDEST_MM = 10_000, 0.2, 256.0
FINEST_MM = 0.7  # finer voxels show no more of an organ's border
COARSEST_MM = 4.0  # coarser voxels lose more than a larger field of view gains
STEP = 1.06  # factor from one voxel size or field that is tried to the next
LEAST_PATCH = (16, 16, 8)  # voxels, for a network of two levels
LEAST_EDGE = 32  # voxels of the smallest field that is tried
SKIPPED = 0.7  # of the sizes that must be too large, because patches are rounded
BATCH, MOST_BATCH = 2, 8
TRAINING = 0.85  # share of the hours that training steps get; the rest is preparation, validation and test
# Steps grow with the square root of what the hours can compute, patches and detail with the rest. Between these two
# recipes: experiment=quick has 840 steps of 20 GFLOP; nnU-Net's 250,000 steps of 5.7 TFLOP are 300 times as many.
# A tenth fewer are enough, because patches can only grow in jumps of a quarter or more.
ENOUGH = 0.9
QUICK_STEPS, QUICK_OPERATIONS = 840, 840 * 2.0e10
LEAST_STEPS, MOST_STEPS = 60, 250_000
ANISOTROPIC = 3.0  # nnU-Net's limit: with thicker slices, the finest tenth of the CTs decides their thickness


@dataclass(frozen=True)
class Sizes:
    """What was chosen, and what it costs.

    Attributes:
        fine_mm: Voxel size that the data would allow.
        spacing_mm: Voxel size of training.
        patch: Voxels along R, A, S.
        batch: Patches in a batch.
        topology: Grids of the network.
        net: Keys of `model.net`.
        cost: Of a step.
        steps: Steps in the hours.
        limit: Why finer voxels or a larger field were refused; empty if none were.
    """

    fine_mm: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    patch: tuple[int, ...]
    batch: int
    topology: Topology
    net: dict[str, Any]
    cost: Cost
    steps: int
    limit: str = ""


class Search:
    """Tries sizes from the finest voxels on, until a step fits into memory and enough steps into the hours."""

    def __init__(self, facts: Fingerprint, machine: Machine, hours: float, net: str, make_net: MakeNet) -> None:
        self.facts, self.machine, self.net, self.make_net = facts, machine, net, make_net
        self.operations = TRAINING * 3600 * hours * machine.rate
        self.least_steps = max(LEAST_STEPS, round(ENOUGH * least_steps(self.operations)))
        on_gpu = machine.gpu_gb is not None
        self.base, self.most = (32, 320) if on_gpu else (16, 256)
        self.deep_supervision = on_gpu
        self.stem_stride = 1 if on_gpu or net not in WITH_STEM else 2
        self._costs: dict[str, Cost] = {}

    def run(self) -> Sizes:
        """The first sizes that fit, with a wider field if they leave only a short training.

        Raises:
            UserError: When not even the smallest fit.
        """
        found = self._first(FIELD_MM)
        wide = wide_field(self.facts.extent_mm)
        return self._first(wide) if found.steps < SHORT and wide > FIELD_MM else found

    def _first(self, wished_mm: float) -> Sizes:
        """The first sizes that fit, for a field of view that shrinks only if voxels of COARSEST_MM do not fit."""
        fine = finest_spacing(self.facts)
        tries = possible_sizes(fine, wished_mm)
        tried, failed, limit = 0, -1, ""
        while True:
            spacing, field = tries[tried]
            found = self.sizes(fine, spacing, field, BATCH)
            too_much = self.why_not(found, self.least_steps)
            if too_much and tried == len(tries) - 1:
                msg = f"no patch of net={self.net} fits: {too_much}; raise hours=, or name a larger device="
                raise UserError(msg)
            if too_much:
                failed, limit = tried, too_much
                tried = min(tried + self._steps_ahead(found), len(tries) - 1)
            elif tried > failed + 1:  # a finer size may fit as well, because patches are rounded
                tried = failed + 1
            else:
                return replace(self._with_larger_batch(found, field), limit=limit)

    def sizes(self, fine: Sequence[float], spacing: Sequence[float], field: float, batch: int) -> Sizes:
        """Sizes for a voxel size and a field of view in mm."""
        rounded = tuple(round(20 * s) / 20 for s in spacing)
        exact, wished = [], []  # the second in eights, so that axes of nearly the same length are halved equally often
        for extent, size, least in zip(self.facts.extent_mm, rounded, LEAST_PATCH, strict=True):
            exact.append(min(field, extent) / size)
            wished.append(max(least, 8 * round(exact[-1] / 8)))
        topology = make_topology(rounded, wished, self.stem_stride)
        is_wide = field > FIELD_MM  # and then needed as a whole
        patch = cover_patch(exact, topology.multiple) if is_wide else round_patch(wished, topology.multiple)
        keys = keys_of(self.net, topology, self.base, self.most, self.deep_supervision)
        cost = self._cost(keys, batch, patch)
        steps = min(MOST_STEPS, int(self.operations / cost.operations))
        return Sizes(tuple(fine), rounded, patch, batch, topology, keys, cost, steps)

    def _cost(self, keys: dict[str, Any], batch: int, patch: Sequence[int]) -> Cost:
        """Cost of a step; neighbouring voxel sizes often give the same patch."""
        key = json.dumps([keys, batch, patch])
        if key not in self._costs:
            most = self.operations / self.least_steps
            self._costs[key] = step_cost(self.make_net(keys), batch, patch, self.machine, most)
        return self._costs[key]

    def why_not(self, sizes: Sizes, least_steps: int) -> str:
        """Which limit these sizes exceed, with the numbers; empty if they fit."""
        what = f"a patch of {' x '.join(map(str, sizes.patch))} voxels"
        if sizes.steps < least_steps:
            return f"{what} leaves {sizes.steps:,} steps in the hours, and they should have {least_steps:,}"
        if sizes.cost.needed <= self.machine.room:
            return ""
        return f"{what} needs {sizes.cost.needed / 1e9:.1f} GB, and a step may use {self.machine.room / 1e9:.1f} GB"

    def _steps_ahead(self, sizes: Sizes) -> int:
        """Sizes to skip, because cost shrinks at most with the cube of a step; at least 1."""
        over = sizes.cost.operations * self.least_steps / self.operations
        if over <= 1:
            over = min(sizes.cost.needed / self.machine.room, 1e6)
        return max(1, int(SKIPPED * math.log(over) / math.log(STEP**3)))

    def _with_larger_batch(self, sizes: Sizes, field: float) -> Sizes:
        """The largest batch that still fits, once the voxels are the finest or the hours hold the most steps."""
        is_coarser = any(s > f for s, f in zip(sizes.spacing_mm, sizes.fine_mm, strict=True))
        if is_coarser and sizes.steps < MOST_STEPS:
            return sizes
        best = sizes
        for batch in range(BATCH + 1, MOST_BATCH + 1):
            larger = self.sizes(sizes.fine_mm, sizes.spacing_mm, field, batch)
            if self.why_not(larger, self.least_steps):
                break
            best = larger
        return best


def least_steps(operations: float) -> int:
    """Steps that a budget of floating-point operations must at least have, in training."""
    steps = QUICK_STEPS * math.sqrt(operations / QUICK_OPERATIONS)
    return min(MOST_STEPS, max(LEAST_STEPS, round(steps)))


def wide_field(extent_mm: Sequence[float]) -> float:
    """The field of view in mm along each axis that shows `SHARE` of a CT, from FIELD_MM to WIDEST_MM.

    Args:
        extent_mm: Field of view of the median CT, where the patch ends if it is smaller.
    """
    field, needed = FIELD_MM, SHARE * math.prod(extent_mm)
    while field < WIDEST_MM and math.prod(min(field, extent) for extent in extent_mm) < needed:
        field += 1.0
    return field


def finest_spacing(facts: Fingerprint) -> tuple[float, ...]:
    """Voxel size that the data allow: the median, or with very thick slices that of the finest tenth of the CTs.

    In-plane it is one number, so that patches may be turned.
    """
    plane = max(FINEST_MM, math.sqrt(facts.spacing_mm[0] * facts.spacing_mm[1]))
    slices = facts.spacing_mm[2]
    if slices > ANISOTROPIC * plane:
        slices = max(facts.spacing_low_mm[2], plane)
    return tuple(round(20 * s) / 20 for s in (plane, plane, max(FINEST_MM, slices)))


def possible_sizes(fine: Sequence[float], wished_mm: float) -> list[tuple[list[float], float]]:
    """Voxel sizes and fields of view in the order of trying: voxels grow first, then the field shrinks."""
    spacing, field = list(fine), wished_mm
    tries = [(spacing, field)]
    while field > LEAST_EDGE * min(spacing):
        if min(spacing) < COARSEST_MM:
            spacing = coarsened(spacing)
        else:
            field /= STEP
        tries.append((spacing, field))
    return tries


def coarsened(spacing: Sequence[float]) -> list[float]:
    """The next coarser voxel size: the finest axes first, then all, as in nnU-Net's low resolution."""
    smallest = min(spacing)
    return [s * STEP if s < STEP * smallest else s for s in spacing]
