"""What `segment curve rank=` finds out about each CT, and keeps in the cache."""

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segment.anatomy.anatomy import Anatomy
from segment.checkpoint.calibrated import identity
from segment.checkpoint.load_ensemble import Ensemble
from segment.curve.candidate import Candidate, examine
from segment.curve.descriptor import Descriptor, describe
from segment.curve.kept import kept
from segment.data.store.content import ContentRecord
from segment.data.store.fingerprint import voxel_hash
from segment.data.store.store import CONTENT
from segment.datasets.annotation import known_classes
from segment.datasets.cases import Case
from segment.files import file_sha256
from segment.inference.engines.choose import MANY_CTS, Choice
from segment.inference.inputs.find_inputs import Input
from segment.inference.inputs.read_input import read_input
from segment.io.advice import FOR_RANKING
from segment.io.left_out import LeftOut

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

    trained: Ensemble
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
        calibration = self.trained.calibrated.path
        sha256 = file_sha256(calibration) if calibration is not None else None
        self.judges = [identity(self.trained.network_sha256, ()), sha256, asdict(self.anatomy)]

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
            scan, others = read_input(item, series=None, straighten=True, advice=FOR_RANKING)
            if scan is None:
                return {"candidate": None, "why": others[0].reason}
            self.equip()
            return {"candidate": examine(scan, self.trained, self.anatomy).to_plain(), "others": len(others)}

        key = ["candidate", self.content.hash(item.path), self.judges]
        found = kept(self.cache_dir / KEPT, key, compute)
        if found["candidate"] is None:
            return self._leave_out(item, found["why"])
        one = Candidate.from_plain(found["candidate"])
        if one.voxels in self.hashes | self.trained.voxel_hashes:
            return self._leave_out(item, LABELLED)
        if found["others"]:
            self.left_out.append(LeftOut(f"{item.display_name}: {found['others']} other series", OTHER_SERIES))
        self.candidates[item.display_name] = one
        found_organs = [f"{name} {organ.dice:.2f}" for name, organ in one.organs.items() if organ.dice is not None]
        words = f"predicted Dice: {', '.join(found_organs)}" if found_organs else "no organ found"
        return words if is_new else f"{words}; known from an earlier call"

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
