"""Whether a plan begins with the starter weights; their voxels and network come with them."""

import math
from dataclasses import dataclass

from segment.checkpoint.starter import STARTER
from segment.errors import UserError
from segment.plan.cost import MakeNet, step_cost
from segment.plan.recipe import Line
from segment.plan.sizes import LEAST_STEPS, Search, Sizes, finest_spacing
from segment.plan.topology import make_topology, round_patch

AUTO = "auto"  # value of init_from=; the others are starter and null
ORGANS = {"liver", "right_kidney", "left_kidney", "spleen"}
RATE = 2e-4  # of AdamW, as in conf/experiment/finetune.yaml
PATIENTS = 10  # up to this many are too few to train from scratch
# The training of the starter weights; see docs/starter.md. Hours that hold fewer of its steps are too short to train
# from scratch. This is a choice: 222 to 443 steps were measured; see docs/plans.md.
STARTER_STEPS = 8_000
STEP_OPERATIONS = 3.935e10  # floating-point operations of a step: two patches, five classes, forward and backward
SPACING, PATCH, BATCH = (3.0, 3.0, 3.0), 80, 2


@dataclass(frozen=True)
class Start:
    """The weights that a training begins with.

    Attributes:
        sizes: Voxels, patch and network, which the starter weights decide.
        is_trained: Whether they are the starter weights.
        reason: Why.
    """

    sizes: Sizes
    is_trained: bool
    reason: str

    def lines(self) -> list[Line]:
        """Lines of the recipe."""
        if not self.is_trained:
            return [Line("init_from", None, self.reason)]
        rate = "as experiment=finetune; 1e-3 was worse with one to four CTs and equal with eight; with more, try it"
        return [
            Line("init_from", STARTER, f"{self.reason}; voxels, window and network are those of the starter weights"),
            Line("optimizer.lr", RATE, rate),
        ]


def choose_start(search: Search, make_net: MakeNet, init_from: str | None) -> Start:
    """Choose the weights that a training begins with, and its sizes.

    Args:
        search: Finds the sizes of a training from scratch.
        make_net: Builds the network on the meta device from keys of `model.net`.
        init_from: `auto` takes the starter weights for few patients, and for hours that hold less than the training
            of these weights; `starter` takes them always, None never.

    Raises:
        UserError: When nothing fits; when the starter weights are wanted, but have another network or other organs.
    """
    reason, is_trained = _wish(search, init_from)
    if not is_trained:
        return Start(search.run(), False, reason)
    sizes = _starter_sizes(search, make_net)
    limit = search.why_not(sizes, LEAST_STEPS)
    if limit:
        msg = f"training from the starter weights does not fit: {limit}; raise hours=, or plan with init_from=null"
        raise UserError(msg)
    return Start(sizes, True, reason)


def _wish(search: Search, init_from: str | None) -> tuple[str, bool]:
    """Whether to begin with the starter weights, after the reason.

    Raises:
        UserError: When they are wanted, but have another network or other organs.
    """
    other = _why_not_starter(search)
    if other and init_from == STARTER:
        msg = f"init_from=starter: {other}; leave init_from= out"
        raise UserError(msg)
    if other or init_from is None:
        return other or "as init_from=null asks", False
    if init_from == STARTER:
        return "as init_from=starter asks", True
    patients = search.facts.all_patients
    if patients <= PATIENTS:
        return f"{patients} patients are at most {PATIENTS}, too few to train from scratch", True
    possible = search.operations / STEP_OPERATIONS
    rounded = float(f"{possible:.3g}")
    hold = f"at the assumed speed the hours hold about {rounded:,.0f} steps of the starter weights' size"
    if possible < STARTER_STEPS:
        return f"{hold}, fewer than the {STARTER_STEPS:,} that these weights were trained for", True
    more = f"{hold}, more than the {STARTER_STEPS:,} that these weights were trained for"
    return f"{patients} patients are more than {PATIENTS}, and {more}", False


def _why_not_starter(search: Search) -> str:
    """Why the starter weights cannot be used at all; empty if they can."""
    if search.net != "vnet":
        return f"the starter weights are for net=vnet, not {search.net}"
    others = sorted(search.facts.organs.keys() - ORGANS)
    return f"the starter weights do not know {', '.join(others)}" if others else ""


def _starter_sizes(search: Search, make_net: MakeNet) -> Sizes:
    """Voxels and network of the starter weights, a patch no larger than the CTs, and no more steps than they had."""
    topology = make_topology(SPACING, [PATCH] * 3, 2)
    wished = []  # at least two voxels on the coarsest grid, which normalisation needs
    for extent, spacing, multiple in zip(search.facts.extent_mm, SPACING, topology.multiple, strict=True):
        wished.append(min(PATCH, max(2 * multiple, extent / spacing)))
    patch = round_patch(wished, topology.multiple)
    cost = step_cost(make_net({}), BATCH, patch, search.machine, math.inf)
    steps = min(STARTER_STEPS, int(search.operations / cost.operations))
    return Sizes(finest_spacing(search.facts), SPACING, patch, BATCH, topology, {}, cost, steps)
