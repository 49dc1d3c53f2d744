"""Two folders, images and labels, paired by file name."""

from collections.abc import Sequence
from pathlib import Path

from segment.datasets.annotation import label_in
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.listing import check_declared, listed, paired, patient_of, pattern_of, unwrapped, volumes
from segment.datasets.sources.rest import unpaired
from segment.datasets.split_sides import Sides, with_sides
from segment.io.dicom_seg import SEG_SUFFIX
from segment.io.label_codes import Declared
from segment.io.left_out import LeftOut
from segment.io.scan import has_suffix


class Folder:
    """Cases in `<root>/images` and `<root>/labels`, paired by file name.

    A CT may be a folder with a DICOM series, a label a DICOM segmentation object (`.dcm`).

    Args:
        root: Folder that holds both. When it holds nothing but one folder, as unzipping leaves it, that one is taken.
        label_codes: Codes of every structure in the label files, by name; needed unless all are DICOM segmentations,
            for which it may hold names of segments.
        images: Folder of the CTs, below the root.
        labels: Folder of the label maps, below the root.
        image_suffix: What image names carry after the case's name, such as `_0000`.
        patient_pattern: Regular expression whose first group, matched at the start of a case's name, is the patient;
            None: every case is a patient of its own.
        sides: Structures drawn under one code for both sides; see `segment.datasets.split_sides`.

    Raises:
        UserError: When the pattern is not a regular expression with a group.
    """

    def __init__(
        self,
        root: str | Path,
        label_codes: Declared | None = None,
        images: str = "images",
        labels: str = "labels",
        image_suffix: str = "",
        patient_pattern: str | None = None,
        sides: Sides | None = None,
    ) -> None:
        self.root = Path(root)
        self.label_codes = label_codes
        self.images = images
        self.labels = labels
        self.image_suffix = image_suffix
        self.patient_pattern = pattern_of("patient_pattern", patient_pattern, groups=1)
        self.sides = sides

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When a folder is missing or empty, an image has no label or a label no image, or a name is not
                as `image_suffix` and `patient_pattern` want it.
        """
        root = unwrapped(self.root, self.images)
        images = volumes(source, root / self.images, refused, self.image_suffix, "image_suffix", series=True)
        labels = volumes(source, root / self.labels, refused, seg=True)
        if not all(has_suffix(path, SEG_SUFFIX) for path in labels.values()):
            check_declared(self.label_codes, source, self.root, root / self.labels)

        def case_of(name: str) -> Case:
            return Case(
                f"{source}/{name}",
                f"{source}/{patient_of(name, self.patient_pattern)}",
                images[name],
                with_sides(label_in(labels[name], self.label_codes or {}), self.sides),
            )

        return listed(source, paired(source, images, labels, root, refused), refused, case_of)

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files in both folders that belong to none of the cases."""
        root = unwrapped(self.root, self.images)
        return unpaired(root, [root / self.images, root / self.labels], cases)
