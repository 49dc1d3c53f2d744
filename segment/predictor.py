"""Segment CTs from Python: `segment.load` and what it returns.

torch and the image packages are imported when a checkpoint is loaded, so that `import segment` is fast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from segment.inference.confidence.confidence import Confidence

if TYPE_CHECKING:
    import nibabel
    import numpy as np
    import SimpleITK

    from segment.checkpoint.load_ensemble import Ensemble
    from segment.inference.confidence.judge import Judge
    from segment.io.scan import Scan

Mask = TypeVar("Mask")
PathLike: TypeAlias = str | Path


def load(
    ckpt: PathLike | Sequence[PathLike] = "starter",
    *,
    device: str = "auto",
    engine: str = "auto",
    organs: Sequence[str] | None = None,
    exact: bool = False,
    tta: Sequence[str] = (),
    trust: Sequence[str] = (),
) -> "Predictor":
    """Load a checkpoint, or several whose probabilities are averaged.

    Loading never runs code from a checkpoint.

    Args:
        ckpt: A file of `segment train` or `segment export`, a glob, or a list of them. `starter` loads the weights of
            the package, which were trained on synthetic CTs only and are for research.
        device: `auto`, `cpu`, `cuda` or `cuda:<n>`.
        engine: `auto`, `torch`, `onnx` or `openvino`, as in `segment predict` for a single CT.
        organs: Organs to segment, with their usual values in the mask. None: all organs of the checkpoint.
        exact: Whether to run the network over the whole CT, as with `segment predict exact=true`. By default it runs
            only where the organs are.
        tta: Views of the CT to average with it (test-time augmentation): `mirrored`, `moved`, `scaled`. Each takes as
            long as the CT itself; `scaled` makes two.
        trust: Modules whose classes the checkpoint may use, in addition to those of this package.

    Raises:
        UserError: When a checkpoint is missing or damaged or names a class that is not trusted, its calibration is
            damaged, the checkpoints differ in more than their training, an organ is not one of the checkpoint, or there
            is no such device, engine or view.
    """
    from segment.anatomy.sides import warn_of_sides
    from segment.checkpoint import load_ensemble
    from segment.inference.engines.choose import choose
    from segment.inference.outputs.default_anatomy import default_anatomy
    from segment.inference.outputs.organ_numbers import organ_numbers

    given = str(ckpt) if isinstance(ckpt, str | Path) else list(map(str, ckpt))
    choice = choose(engine, device, load_ensemble.names_exported(given))
    trained = load_ensemble.load(given, trust, exported=True, tta=tta)
    numbers = organ_numbers(trained.organs, organs)
    trained.read_calibration()
    warn_of_sides(trained.organs, default_anatomy())
    trained.to(choice.device)
    choice.equip([member.segmenter for member in trained.members], cts=trained.views)
    return Predictor(trained, numbers, exact)


class Predictor:
    """Segments CTs. `segment.load` returns one. Make one call at a time.

    Attributes:
        numbers: Value in the mask of every organ.
    """

    def __init__(self, trained: "Ensemble", numbers: Mapping[str, int], exact: bool) -> None:
        self._trained = trained
        self._exact = exact
        self.numbers = dict(numbers)

    @property
    def organs(self) -> list[str]:
        """Names of the organs."""
        return list(self.numbers)

    @overload
    def __call__(
        self, ct: PathLike, *, series: str | None = None, straighten: bool = False
    ) -> "Prediction[nibabel.Nifti1Image]": ...
    @overload
    def __call__(self, ct: "np.ndarray", affine: "np.ndarray") -> "Prediction[np.ndarray]": ...
    @overload
    def __call__(self, ct: "nibabel.spatialimages.SpatialImage | SimpleITK.Image") -> "Prediction[Any]": ...
    def __call__(
        self, ct: Any, affine: "np.ndarray | None" = None, *, series: str | None = None, straighten: bool = False
    ) -> "Prediction[Any]":
        """Segment a CT, as `segment predict` does. Other arguments than the CT are refused where they mean nothing.

        Args:
            ct: A path (NIfTI, NRRD, MetaImage, or a folder with a DICOM series), an image of nibabel or SimpleITK, or
                an array (I,J,K). Its values are HU.
            affine: (4,4) voxel → mm in RAS+, as in nibabel; needed for an array, and only for one.
            series: UID of the DICOM series to read from a folder. None reads the axial CT with the most slices.
            straighten: Whether to resample a DICOM series with a gantry tilt or uneven slice distances. The mask is
                then on the grid of the resampled CT, `Prediction.affine`.

        Raises:
            UserError: When the CT cannot be read, cannot be in HU, is not one 3D volume or has no usable geometry.
        """
        from segment.inference.confidence.judge import Judge
        from segment.inference.inputs.from_memory import check_arguments, read_path, scan_of
        from segment.inference.outputs.default_anatomy import default_anatomy
        from segment.inference.outputs.organ_numbers import keep_organs
        from segment.inference.outputs.to_memory import mask_like

        check_arguments(ct, affine, series is not None or straighten)
        is_path = isinstance(ct, str | Path)
        scan = read_path(Path(ct), series, straighten) if is_path else scan_of(ct, affine)
        organs = self._trained.organs
        segmented = self._trained.segmenter.segment(scan, self._exact, organs)
        judge = Judge.of(scan, segmented, organs, default_anatomy(), self._trained.calibrated.calibration)
        classes = keep_organs(segmented.mask, self.numbers)
        return Prediction(mask_like(ct, classes, scan), classes, self.numbers, scan, judge)


@dataclass(frozen=True)
class Prediction(Generic[Mask]):
    """The mask of a CT.

    Attributes:
        mask: The mask in the kind of the CT: an image of SimpleITK, an array, and otherwise an image of nibabel. It has
            the shape and the geometry of the CT; its values are those of `numbers`, and 0 elsewhere.
        classes: The same values as an array (I,J,K), uint8.
        numbers: Value in the mask of every organ.
    """

    mask: Mask
    classes: "np.ndarray"
    numbers: Mapping[str, int]
    _scan: "Scan"
    _judge: "Judge"

    def __repr__(self) -> str:
        volumes = ", ".join(f"{organ} {ml:.1f} mL" for organ, ml in self.volumes_ml.items())
        return f"Prediction({volumes})"

    @property
    def organs(self) -> list[str]:
        """Names of the organs, also of those that the mask does not have."""
        return list(self.numbers)

    @property
    def affine(self) -> "np.ndarray":
        """(4,4) voxel → mm in RAS+ of `classes`."""
        return self._scan.affine

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Volume of every organ in mL: the number of its voxels times the volume of a voxel."""
        from segment.metrics.organ_measures import organ_volumes_ml

        return organ_volumes_ml(self.classes, self.affine, self.numbers)

    def organ(self, name: str) -> "np.ndarray":
        """The mask of one organ: bool (I,J,K).

        Raises:
            UserError: When there is no such organ.
        """
        from segment.inference.outputs.organ_numbers import organ_numbers

        organ_numbers(self.organs, [name])  # refuses an unknown name
        mask: np.ndarray = self.classes == self.numbers[name]
        return mask

    @property
    def confidence(self) -> dict[str, Confidence]:
        """How far each organ can be trusted: predicted Dice with its interval, a colour, and the reasons in words."""
        return {entry["organ"]: Confidence.from_plain(entry["confidence"]) for entry in self.report()["organs"]}

    def report(self) -> dict[str, Any]:
        """What `segment predict` writes into report.json about the organs: docs/predict.md lists the fields."""
        from segment.inference.outputs.default_anatomy import default_anatomy
        from segment.inference.outputs.report import measure

        anatomy = default_anatomy()
        report = measure(self._scan, self.classes, self.numbers, anatomy)
        self._judge.add_to(report["organs"], anatomy)
        return report

    def save(self, path: PathLike) -> None:
        """Write the mask with the geometry of the CT. The write is atomic, and replaces a file.

        Args:
            path: `.nii.gz`, `.nii`, `.nrrd` or `.mha`; or `.dcm` for a DICOM segmentation of a CT that was read from a
                folder, with the patient's name, as the standard demands. That needs `pip install highdicom`.

        Raises:
            UserError: When the name has none of these endings, or the CT cannot have a mask in this format.
        """
        from segment.inference.outputs.to_memory import save_mask

        save_mask(Path(path), self.classes, self._scan, self.numbers)
