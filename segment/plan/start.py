"""Whether a plan begins with the starter weights; their voxels and network come with them."""

import math
from dataclasses import dataclass

from segment.errors import UserError
from segment.plan.cost import MakeNet, step_cost
from segment.plan.recipe import Line
from segment.plan.sizes import LEAST_STEPS, MOST_STEPS, Search, Sizes, finest_spacing
from segment.plan.topology import make_topology, round_patch

AUTO, STARTER = "auto", "starter"  # values of init_from=; the third one is null
ORGANS = {"liver", "right_kidney", "left_kidney", "spleen"}
RATE = 2e-4  # of AdamW, as in conf/experiment/finetune.yaml
PATIENTS = 10  # up to this many are too few to train from scratch
STEPS = 8_000  # of the training that made the starter weights; see docs/starter.md
SPACING = (3.0, 3.0, 3.0)
PATCH = 80


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
            return [Line("", None, f"init_from: nothing; {self.reason}")]
        return [
            Line("init_from", STARTER, f"{self.reason}; voxels, window and network are those of the starter weights"),
            Line("optimizer.lr", RATE, "that of experiment=finetune; larger ones destroy what these weights know"),
        ]


def choose_start(search: Search, make_net: MakeNet, init_from: str | None) -> Start:
    """Choose the weights that a training begins with, and its sizes.

    Args:
        search: Finds the sizes of a training from scratch.
        make_net: Builds the network on the meta device from keys of `model.net`.
        init_from: `auto` takes the starter weights for few patients, and for trainings that would have fewer steps than
            these weights have had; `starter` takes them always, None never.

    Raises:
        UserError: When nothing fits, or the starter weights are wanted but have another network or other organs.
    """
    other = _why_not_starter(search)
    if other and init_from == STARTER:
        msg = f"init_from=starter: {other}; leave it out"
        raise UserError(msg)
    if other or init_from is None:
        return Start(search.run(), False, other or "init_from=null asks for that")
    patients = search.facts.all_patients
    if init_from == STARTER:
        return _of_starter(search, make_net, "as init_from=starter asks")
    if patients <= PATIENTS:
        few = f"{patients} patients are at most {PATIENTS}, too few to train from scratch"
        return _of_starter(search, make_net, few)
    scratch = search.run()
    if scratch.steps >= STEPS:
        enough = f"{patients} patients are more than {PATIENTS}, and the hours hold more steps than the {STEPS:,}"
        return Start(scratch, False, f"{enough} of the starter weights")
    sizes = _starter_sizes(search, make_net)
    limit = search.why_not(sizes, LEAST_STEPS)
    if limit:
        return Start(scratch, False, f"with the starter weights, {limit}")
    short = f"from scratch, the hours would hold {scratch.steps:,} steps, fewer than the {STEPS:,} of these weights"
    return Start(sizes, True, short)


def _why_not_starter(search: Search) -> str:
    """Why the starter weights cannot be used at all; empty if they can."""
    if search.net != "vnet":
        return f"the starter weights are for net=vnet, not {search.net}"
    others = sorted(search.facts.organs.keys() - ORGANS)
    return f"the starter weights do not know {', '.join(others)}" if others else ""


def _of_starter(search: Search, make_net: MakeNet, reason: str) -> Start:
    """The starter weights.

    Raises:
        UserError: When they do not fit.
    """
    sizes = _starter_sizes(search, make_net)
    limit = search.why_not(sizes, LEAST_STEPS)
    if limit:
        msg = f"training from the starter weights does not fit: {limit}; raise hours=, or name a larger device="
        raise UserError(msg)
    return Start(sizes, True, reason)


def _starter_sizes(search: Search, make_net: MakeNet) -> Sizes:
    """Voxels and network of the starter weights, and a patch that is no larger than the CTs."""
    topology = make_topology(SPACING, [PATCH] * 3, 2)
    wished = []  # at least two voxels on the coarsest grid, which normalisation needs
    for extent, spacing, multiple in zip(search.facts.extent_mm, SPACING, topology.multiple, strict=True):
        wished.append(min(PATCH, max(2 * multiple, extent / spacing)))
    patch = round_patch(wished, topology.multiple)
    cost = step_cost(make_net({}), 2, patch, search.machine, math.inf)
    steps = min(MOST_STEPS, int(search.operations / cost.operations))
    return Sizes(finest_spacing(search.facts), SPACING, patch, 2, topology, {}, cost, steps)
