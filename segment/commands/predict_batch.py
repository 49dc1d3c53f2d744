"""The CTs of one call of `segment predict`: what is left to do, and the outputs of each CT."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from segment import __version__
from segment.anatomy.anatomy import Anatomy
from segment.checkpoint.load_ensemble import Ensemble
from segment.commands.mask_folder import remove_outputs, write_checksums
from segment.errors import UserError
from segment.inference.confidence.judge import Judge
from segment.inference.inputs.find_inputs import Input
from segment.inference.inputs.read_input import read_input
from segment.inference.outputs.manifest import Manifest
from segment.inference.outputs.names import (
    ct_path,
    dicom_seg_path,
    mask_path,
    organ_path,
    picture_paths,
    report_path,
)
from segment.inference.outputs.organ_numbers import keep_organs
from segment.inference.outputs.report import add_confidences, measure, read_report, write_report
from segment.inference.outputs.source import is_another_ct, source_facts
from segment.inference.search.describe import describe_searches
from segment.io.left_out import LeftOut
from segment.io.read import is_folder, read_label
from segment.io.scan import Scan, on_grid_of
from segment.io.write import write_ct, write_mask
from segment.io.write_dicom_seg import why_no_dicom_seg, write_dicom_seg
from segment.metrics.volumes_csv import VolumeTable
from segment.view import failsafe
from segment.view.overlay import write_overlay
from segment.view.video import write_video

log = logging.getLogger(__name__)


@dataclass
class Batch:
    """All inputs of one call.

    Attributes:
        cfg: Options of the command.
        output: Folder of the masks.
        trained: The network.
        numbers: Value in the mask of every organ that is written.
        anatomy: Plausible volumes, for the flags.
        manifest: The manifest of the call.
        left_out: Inputs that are not CTs, and ignored series in the folder of a CT, are appended here.
        not_cts: Number of inputs that are not CTs.
    """

    cfg: DictConfig
    output: Path
    trained: Ensemble
    numbers: Mapping[str, int]
    anatomy: Anatomy
    manifest: Manifest
    left_out: list[LeftOut] = field(default_factory=list)
    not_cts: int = 0

    @property
    def table(self) -> VolumeTable:
        """The measurements of all CTs."""
        return VolumeTable(self.output / "volumes.csv")

    def plan(self, inputs: Sequence[Input]) -> list[Input]:
        """The inputs whose outputs are missing, or that cannot have any. The table is made to match the others.

        Outputs of another CT, which was replaced or is another series, are removed; with overwrite=true, all are.
        """
        sound = [item for item in inputs if not item.clash]
        for item in sound:
            if self.cfg.overwrite:
                self.remove(item)
            elif is_another_ct(item, report_path(self.output, item.name), self.cfg.series):
                log.warning("%s is not the CT that its report states; segmenting it again", item.display_name)
                self.remove(item)
        todo = [item for item in sound if not self._is_complete(item)]
        self._update_table(todo, kept=[item for item in sound if item not in todo])
        return [*todo, *(item for item in inputs if item.clash)]

    def remove(self, item: Input) -> None:
        """Remove the outputs of a CT."""
        remove_outputs(self.output, item, self.numbers)
        self.table.remove({item.name})

    def segment(self, item: Input) -> str:
        """Segment a CT and write its outputs; return how long it took, or why it was left out.

        A mask of an earlier call is kept, and only its missing outputs are added.

        Raises:
            UserError: When the CT cannot be read, or another CT would have the same mask file.
        """
        try:
            return self._segment(item)
        except Exception as error:
            self.manifest.add(item, "failed", str(error) if isinstance(error, UserError) else type(error).__name__)
            raise

    def _segment(self, item: Input) -> str:
        if item.clash:
            raise UserError(item.clash)
        start = time.monotonic()
        scan, left_out = read_input(item, self.cfg.series, self.cfg.straighten)
        self.left_out += left_out
        if scan is None:
            self.not_cts += 1
            return f"left out, {left_out[0].reason}"
        if self._has_files(item):  # only pictures are missing
            return self._add_pictures(item, scan)
        source = source_facts(item, scan.files)  # before the network runs, because a file may be replaced meanwhile
        kept = mask_path(self.output, item.name).exists()
        mask, how, judge = (self._kept_mask(item, scan), "", None) if kept else self._new_mask(scan)
        if not any(facts["state"] == "done" for facts in self.manifest.cases.values()):  # the first mask of the call
            write_checksums(self.output, self.trained)
            self.manifest.write("running", self.left_out)
        if self._lacks_pictures(item) or (self.cfg.pictures and not kept):
            self._draw(item, scan, mask)
        if scan.is_straightened:
            write_ct(ct_path(self.output, item.name), scan)
        report = self._write_parts(item, scan, mask, source)
        add_confidences(report["organs"], judge, self.anatomy, earlier=report_path(self.output, item.name))
        write_report(report_path(self.output, item.name), report | {"seconds": round(time.monotonic() - start, 2)})
        self.table.add(item.name, report["organs"])
        # Last, because a resumed call skips CTs that have a mask.
        if not kept:
            write_mask(mask_path(self.output, item.name), mask, scan)
        self.manifest.add(item, "done")
        return f"{time.monotonic() - start:.1f} s{how}"

    def _write_parts(self, item: Input, scan: Scan, mask: np.ndarray, source: Mapping[str, Any]) -> dict[str, Any]:
        """Write the files that show the mask in another form, measure it, and return the report."""
        files, not_written = [mask_path(self.output, item.name)], {}
        if self.cfg.organ_files:
            for organ, number in self.numbers.items():
                files.append(organ_path(self.output, item.name, organ))
                write_mask(files[-1], (mask == number).view(np.uint8), scan)
        if self.cfg.dicom_seg:
            why_not = self._write_dicom_seg(item, scan, mask)
            if why_not:
                not_written["dicom_seg"] = why_not
                log.warning("%s has no DICOM segmentation: %s", item.display_name, why_not)
            else:
                files.append(dicom_seg_path(self.output, item.name))
        return {
            "case": item.name,
            "input": source,
            "segment": __version__,
            "checkpoints": self.manifest.checkpoints,
            **measure(scan, mask, self.numbers, self.anatomy),
            "files": [path.relative_to(self.output).as_posix() for path in files],
            "not_written": not_written,
        }

    def _write_dicom_seg(self, item: Input, scan: Scan, mask: np.ndarray) -> str:
        """Write a mask as a DICOM segmentation. Returns why there is none; empty if there is."""
        why_not = why_no_dicom_seg(scan)
        if why_not:
            return why_not
        try:
            write_dicom_seg(dicom_seg_path(self.output, item.name), mask, scan.files, self.numbers, __version__)
        except UserError as error:  # the mask in NIfTI, for which the network ran, is written all the same
            return str(error)
        return ""

    def _draw(self, item: Input, scan: Scan, mask: np.ndarray) -> None:
        picture, video, gif = picture_paths(self.output, item.name)
        organs = self.trained.organs
        with failsafe.warn_on_error(picture.name):
            write_overlay(picture, scan.data, mask, scan.affine, organs, title=item.name)
        with failsafe.warn_on_error(video.name):
            write_video(video, scan.data, mask, scan.affine, organs, title=item.name, turntable=gif)

    def _new_mask(self, scan: Scan) -> tuple[np.ndarray, str, Judge]:
        """The mask of a CT, how much of the CT was searched, to print, and what the mask is judged by."""
        organs = self.trained.organs
        segmented = self.trained.segmenter.segment(scan, self.cfg.exact, organs)
        judge = Judge.of(scan, segmented, organs, self.anatomy, self.trained.calibrated.calibration)
        return keep_organs(segmented.mask, self.numbers), describe_searches(segmented.searches, organs), judge

    def _kept_mask(self, item: Input, scan: Scan) -> np.ndarray:
        path = mask_path(self.output, item.name)
        return np.ascontiguousarray(on_grid_of(read_label(path), scan, path, item.path)).astype(np.uint8)

    def _add_pictures(self, item: Input, scan: Scan) -> str:
        """Draw a mask that is kept; its report stays as it is."""
        self._draw(item, scan, self._kept_mask(item, scan))
        self._update_table([], kept=[item])
        return "pictures of a mask that is kept"

    def _is_complete(self, item: Input) -> bool:
        """Whether the mask, the report and the files that the options ask for exist."""
        return self._has_files(item) and not self._lacks_pictures(item)

    def _has_files(self, item: Input) -> bool:
        """As `_is_complete`, without pictures."""
        wanted = [mask_path(self.output, item.name), report_path(self.output, item.name)]
        if self.cfg.organ_files:
            wanted += [organ_path(self.output, item.name, organ) for organ in self.numbers]
        if not all(path.exists() for path in wanted):
            return False
        if not self.cfg.dicom_seg or not is_folder(item.path) or dicom_seg_path(self.output, item.name).exists():
            return True
        report = read_report(report_path(self.output, item.name)) or {}
        return "dicom_seg" in report.get("not_written", {})

    def _lacks_pictures(self, item: Input) -> bool:
        """Whether the options ask for pictures and there is none. A missing video could not be made."""
        picture, *_ = picture_paths(self.output, item.name)
        return self.cfg.pictures and not picture.exists()

    def _update_table(self, todo: Sequence[Input], kept: Sequence[Input]) -> None:
        """Make the table match the masks that are kept. An interrupted call may have left other rows."""
        self.table.remove({item.name for item in todo})
        known = self.table.cases()
        for item in kept:
            self.manifest.add(item, "kept")
            report = read_report(report_path(self.output, item.name)) if item.name not in known else None
            if report:
                self.table.add(item.name, report["organs"])
