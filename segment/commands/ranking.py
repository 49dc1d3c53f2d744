"""`segment curve rank=<folder>`: which unlabelled CTs to annotate next."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segment import build
from segment.anatomy.anatomy import Anatomy
from segment.checkpoint import load_ensemble as ensemble
from segment.checkpoint.calibrated import identity
from segment.commands.each_case import process_each, raise_failures
from segment.commands.pages import page_at_end
from segment.configuration.instantiate import instantiate
from segment.configuration.values import portable
from segment.curve.candidate import Candidate, examine
from segment.curve.descriptor import Descriptor, describe
from segment.curve.kept import kept
from segment.curve.ranking import Ranking, write_ranking
from segment.data.splits.split import not_made
from segment.data.store.content import ContentRecord
from segment.data.store.fingerprint import voxel_hash
from segment.data.store.store import CONTENT
from segment.datasets.annotation import known_classes
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.files import file_sha256, write_text
from segment.inference.engines.choose import AUTO, MANY_CTS, Choice, choose
from segment.inference.inputs.find_inputs import Input, find_inputs
from segment.inference.inputs.read_input import read_input
from segment.io.left_out import LeftOut, describe_group, group_by_reason
from segment.run.open_run import open_run
from segment.view.page.rank import write_rank_page

log = logging.getLogger(__name__)

KEPT = "rank"  # folder in cache_dir of what is known about the CTs
OTHER_SERIES = "the axial CT with most slices of a folder is ranked"
LABELLED = "it has a label already: the data set or the training of the checkpoint has the same voxels"


@dataclass
class Examination:
    """What is known about the CTs so far.

    Attributes:
        trained: The networks.
        anatomy: Usual volumes, sides and positions.
        choice: Where and with which engine the networks run.
        cache_dir: What is known about a CT is kept below it.
        candidates: The CTs that may be annotated, by name.
        labelled: Descriptors of the labelled CTs, by name.
        hashes: Voxel hashes of the labelled CTs.
        left_out: Files that are no CTs to annotate, with the reason.
        is_equipped: Whether the networks are ready to run.
    """

    trained: ensemble.Ensemble
    anatomy: Anatomy
    choice: Choice
    cache_dir: Path
    candidates: dict[str, Candidate] = field(default_factory=dict)
    labelled: dict[str, Descriptor] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    left_out: list[LeftOut] = field(default_factory=list)
    is_equipped: bool = False

    def __post_init__(self) -> None:
        """Open the record of the files' content."""
        self.content = ContentRecord(self.cache_dir / CONTENT)
        calibration = self.trained.calibration_path
        has_one = self.trained.calibrated.calibration is not None
        self.network = [identity(self.trained.network_sha256, ()), file_sha256(calibration) if has_one else None]

    def add_labelled(self, case: Case) -> str:
        """Describe a CT by its reference; return a word for the log."""
        organs, label = self.trained.organs, case.label

        def compute() -> dict[str, Any]:
            scan = case.read()
            known = known_classes(label, organs)
            descriptor = describe(scan, label.read(scan, case.image, organs), organs, known)
            return {"voxels": voxel_hash(scan.data), "descriptor": descriptor}

        files = [self.content.hash(path) for path in (case.image, *label.files)]
        found = kept(self.cache_dir / KEPT, ["labelled", files, case.series, label.cache_key, organs], compute)
        self.labelled[case.id] = found["descriptor"]
        self.hashes.add(found["voxels"])
        return "described"

    def add(self, item: Input) -> str:
        """Examine a CT of the folder; return a word for the log."""
        is_new = False

        def compute() -> dict[str, Any]:
            nonlocal is_new
            is_new = True
            scan, others = read_input(item, series=None, straighten=True)
            if scan is None:
                return {"candidate": None, "why": others[0].reason}
            self.equip()
            return {"candidate": examine(scan, self.trained, self.anatomy).to_plain(), "others": len(others)}

        key = ["candidate", self.content.hash(item.path), self.network]
        found = kept(self.cache_dir / KEPT, key, compute)
        if found["candidate"] is None:
            return self._leave_out(item, found["why"])
        one = Candidate.from_plain(found["candidate"])
        if one.voxels in self.hashes | self.trained.voxel_hashes:
            return self._leave_out(item, LABELLED)
        if found["others"]:
            self.left_out.append(LeftOut(f"{item.display_name}: {found['others']} other series", OTHER_SERIES))
        self.candidates[item.display_name] = one
        dice = "no organ found" if one.dice is None else f"predicted Dice {one.dice:.2f}"
        return dice if is_new else f"{dice}, known from an earlier call"

    def equip(self) -> None:
        """Prepare the networks to run, once, when the first CT needs them."""
        if not self.is_equipped:
            self.trained.to(self.choice.device)
            engine = self.choice.equip([member.segmenter for member in self.trained.members], MANY_CTS)
            log.info("engine: %s", engine.describe())
            self.is_equipped = True

    def _leave_out(self, item: Input, reason: str) -> str:
        self.left_out.append(LeftOut(item.display_name, reason, is_expected=True))
        return f"left out, {reason}"


def names_data(overrides: Sequence[str]) -> bool:
    """Whether the arguments of a command name its data set, instead of leaving it to the default."""
    keys = [argument.partition("=")[0].lstrip("+~") for argument in overrides]
    return any(key == "data" or key.startswith("data.sources.") for key in keys)


def rank_cts(cfg: DictConfig, data_is_named: bool) -> None:
    """Rank the CTs below a folder, write tables, pictures and a page, and log the result.

    A CT that fails is named at the end. What was found out about a CT is kept in the cache, so a further call with the
    same checkpoint segments only new CTs.

    Args:
        cfg: Options of `segment curve`.
        data_is_named: Whether the user has named the data set of the labelled CTs.

    Raises:
        UserError: When there is no CT, a CT failed, or an option does not fit.
    """
    if cfg.resume is not False:
        msg = f"a ranking is not resumed: leave out resume={cfg.resume}; CTs that were segmented before are not again"
        raise UserError(msg)
    trained = ensemble.load(cfg.ckpt, cfg.trust)
    inputs, left_out = find_inputs([str(cfg.rank)], Path(cfg.output_dir))
    labelled = not_made(build.cases(cfg.data)) if data_is_named else []
    choice = choose(AUTO, AUTO, exported=False, find_device=build.device)
    anatomy: Anatomy = instantiate(cfg.anatomy)
    found = Examination(trained, anatomy, choice, Path(cfg.cache_dir), left_out=left_out)
    with open_run(cfg, "rank.log") as run:
        write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))
        failed = process_each({case.id: case for case in labelled}, found.add_labelled)
        failed += process_each({item.display_name: item for item in inputs}, found.add)
        _conclude(run.folder, found, failed, cfg.page)
        raise_failures(failed, len(labelled) + len(inputs))


def _conclude(folder: Path, found: Examination, failed: Sequence[str], page: bool) -> None:
    """Write the ranking, if there is a CT to rank, and log it."""
    lines = [describe_group(group) for group in group_by_reason(found.left_out)]
    if not found.candidates and not failed:
        msg = "no CT to rank:\n  " + "\n  ".join(lines)
        raise UserError(msg)
    if found.candidates:
        ranking = Ranking.of(found.candidates, found.labelled, found.trained.organs)
        notes = [_basis(found.trained), _labelled(len(found.labelled))]
        write_ranking(folder, ranking, [*notes, *(f"failed: {one}" for one in failed), *lines])
        for sentence in (*ranking.sentences(), *notes):
            log.info("%s", sentence)
        print(f"ranking: {folder / 'rank.csv'}")
        page_at_end(page, folder, write_rank_page)
    print(*lines, sep="\n", end="\n" if lines else "")


def _basis(trained: ensemble.Ensemble) -> str:
    """Where the Dice come from."""
    if trained.calibrated.calibration is not None:
        return trained.calibrated.words
    return f"Dice is what the network itself expects, which is too high for bad masks ({trained.calibrated.words})"


def _labelled(count: int) -> str:
    if not count:
        return "what labelled CTs show is not counted: name them by data=<set>"
    return f"{count} labelled CT{'s' * (count != 1)} count: what resembles them comes later"
