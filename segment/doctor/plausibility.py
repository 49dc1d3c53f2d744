"""Check whether the organs of a case have plausible volumes, HU and positions."""

from collections.abc import Iterator, Mapping

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.fit import misnamed_organ, swapped_names
from segment.anatomy.structure import Structure
from segment.doctor.finding import Finding, digits
from segment.doctor.sides import check_sides

# By how much the misfit must fall for each organ that gets another name: the name of another organ in the case
# (exchange), or of an organ that the case does not have (rename). In `data=phantom`, the right names of liver, kidneys
# and spleen stay below these limits, and an exchange of two of them is always found.
EXCHANGE_GAIN, RENAME_GAIN = 2.0, 3.0


def check_structures(case: str, structures: Mapping[str, Structure], anatomy: Anatomy) -> Iterator[Finding]:
    """Check organs by their measurements alone. `segment doctor` and `segment train` both use this check.

    Args:
        case: The case's id.
        structures: The measured structure of every organ in the case.
        anatomy: The configured anatomy. Organs without an entry are not checked.
    """
    for organ, structure in structures.items():
        yield from _check_volume(case, organ, structure, anatomy)
        yield from _check_hu(case, organ, structure, anatomy)
    side_findings = list(check_sides(case, structures, anatomy))
    yield from side_findings or _check_names(case, structures, anatomy)


def _check_volume(case: str, organ: str, structure: Structure, anatomy: Anatomy) -> Iterator[Finding]:
    low, high = anatomy.volume_ml.get(organ, (0, float("inf")))
    if structure.volume_ml > high or (structure.volume_ml < low and not structure.faces):
        what = f"{organ} has {digits(structure.volume_ml)} mL, not {low} to {high} mL"
        remedy = f"check the case's spacing, codes and label; if the volume is right, widen anatomy.volume_ml.{organ}"
        yield Finding(case, "volume", "warning", what, remedy, organ)


def _check_hu(case: str, organ: str, structure: Structure, anatomy: Anatomy) -> Iterator[Finding]:
    if organ not in anatomy.median_hu or structure.median_hu is None:
        return
    low, high = anatomy.median_hu[organ]
    if not low <= structure.median_hu <= high:
        value = f"{structure.median_hu:.0f} HU, not {low} to {high}"
        what = f"{organ} has a median of {value}: its label is misplaced, or the image is not in HU"
        yield Finding(case, "HU", "error", what, "look at the case; check the image's HU and the affines", organ)


def _check_names(case: str, structures: Mapping[str, Structure], anatomy: Anatomy) -> Iterator[Finding]:
    """Report organs that fit another organ's position better.

    In one case this is a warning, because disease and surgery move organs. In most cases of a source it is an error;
    see `merge_shared`.
    """
    better_names = swapped_names(structures, anatomy, EXCHANGE_GAIN)
    if not better_names:
        better_names = misnamed_organ(structures, anatomy, RENAME_GAIN)
    if better_names:
        what = ", ".join(f"{organ} is where {other} should be" for organ, other in better_names.items())
        remedy = "look at the case; correct label_codes if a code has another organ's name, else the label file"
        yield Finding(case, "position", "warning", what, remedy)
