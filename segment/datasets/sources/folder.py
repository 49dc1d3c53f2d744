"""Two folders, images and labels, paired by file name."""

from collections.abc import Sequence
from pathlib import Path

from segment.datasets.annotation_files import label_in
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.listing import build_cases, check_declared, find_volumes, inner_root, match_pairs
from segment.datasets.sources.patients import compile_pattern, patient_name
from segment.datasets.sources.unused_files import find_unpaired
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.dicom_seg import SEG_SUFFIX
from segment.io.label_codes import Declared
from segment.io.left_out import LeftOut
from segment.io.scan import has_suffix


class Folder:
    """Cases in `<root>/images` and `<root>/labels`, paired by file name.

    A CT may be a folder with a DICOM series. A label may be a DICOM segmentation object (`.dcm`).

    Args:
        root: Folder that contains both. If its only content is another folder, as after unzipping, that folder is used.
        label_codes: Codes of every structure in the label files, by name. Required unless all labels are DICOM
            segmentations, for which it may contain names of segments.
        images: Folder of the CTs in the root.
        labels: Folder of the label maps in the root, or an absolute path.
        image_suffix: End of the images' names, after the case's name, for example `_0000`.
        patient_pattern: Regular expression; its first group, matched at the start of a case's name, is the patient.
            None: every case is another patient.
        sides: Structures with one code for both sides; see `segment.datasets.split_sides`.
        tissues: Folder of the tissue maps in the root, or an absolute path, one for each case and named like its label:
            see `Case.tissues`. None: there are none.

    Raises:
        UserError: When the pattern is not a regular expression with a group, or `images` is absolute.
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
        tissues: str | None = None,
    ) -> None:
        if Path(images).is_absolute():
            name = Path(images).name
            msg = f"images={images} must be a path inside the root; give its parent folder as root, and images={name}"
            raise UserError(msg)
        self.root = Path(root)
        self.label_codes = label_codes
        self.images = images
        self.labels = labels
        self.image_suffix = image_suffix
        self.patient_pattern = compile_pattern("patient_pattern", patient_pattern, groups=1)
        self.sides = sides
        self.tissues = tissues

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by name.

        Raises:
            UserError: When a folder is missing or empty, an image has no label or no tissue map or a label no image,
                or a name does not match `image_suffix` or `patient_pattern`.
        """
        root = inner_root(self.root, self.images)
        images = find_volumes(source, root / self.images, refused, self.image_suffix, "image_suffix", series=True)
        labels = find_volumes(source, root / self.labels, refused, seg=True)
        if not all(has_suffix(path, SEG_SUFFIX) for path in labels.values()):
            check_declared(self.label_codes, source, self.root, root / self.labels)
        tissues = find_volumes(source, root / self.tissues, refused) if self.tissues else {}

        def case_of(name: str) -> Case:
            if self.tissues and name not in tissues:
                msg = f"the image {images[name].name} in {root} has no tissue map in {self.tissues}/; add it, or set "
                msg += "tissues=null"
                raise UserError(msg)
            return Case(
                f"{source}/{name}",
                f"{source}/{patient_name(name, self.patient_pattern)}",
                images[name],
                with_sides(label_in(labels[name], self.label_codes or {}), self.sides),
                tissues=tissues.get(name),
            )

        return build_cases(source, match_pairs(source, images, labels, root, refused), refused, case_of)

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files in the folders that belong to none of the cases."""
        root = inner_root(self.root, self.images)
        optional = root / self.tissues if self.tissues else None
        return find_unpaired(root, [root / self.images, root / self.labels], cases, optional)
