"""Whether the organs of a case are as large and as bright as organs are, and lie where these lie."""

from collections.abc import Iterator, Mapping

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.fit import exchanged, renamed
from segment.anatomy.place import Place
from segment.doctor.finding import Finding
from segment.doctor.sides import check_sides

# By how much the misfit must fall for each organ that gets another name: one of another organ in the case, or one that
# no organ there has. Right names of liver, kidneys and spleen in `data=phantom` stay below, and exchanging two of them
# is always found.
EXCHANGE_GAIN, RENAME_GAIN = 2.0, 3.0


def check_places(case: str, places: Mapping[str, Place], anatomy: Anatomy) -> Iterator[Finding]:
    """Judge organs by their places alone; `segment doctor` and `segment train` both do.

    Args:
        case: The case's id.
        places: Place of every organ that the case shows.
        anatomy: What is plausible; organs that it does not name are not judged.
    """
    for organ, place in places.items():
        yield from _check_volume(case, organ, place, anatomy)
        yield from _check_hu(case, organ, place, anatomy)
    of_sides = list(check_sides(case, places, anatomy))
    yield from of_sides or _check_names(case, places, anatomy)


def _check_volume(case: str, organ: str, place: Place, anatomy: Anatomy) -> Iterator[Finding]:
    low, high = anatomy.volume_ml.get(organ, (0, float("inf")))
    if place.volume_ml > high or (place.volume_ml < low and not place.faces):
        what = f"{organ} has {place.volume_ml:.3g} mL, not {low} to {high} mL"
        remedy = f"look at the case: spacing, codes, label; if it is true, widen anatomy.volume_ml.{organ}"
        yield Finding(case, "volume", "warning", what, remedy, organ)


def _check_hu(case: str, organ: str, place: Place, anatomy: Anatomy) -> Iterator[Finding]:
    if organ in anatomy.median_hu and place.median_hu is not None:
        low, high = anatomy.median_hu[organ]
        if not low <= place.median_hu <= high:
            value = f"{place.median_hu:.0f} HU, not {low} to {high}"
            what = f"{organ} has a median of {value}: its label lies elsewhere, or no HU"
            yield Finding(case, "HU", "error", what, "look at the case; check the image's HU and the affines", organ)


def _check_names(case: str, places: Mapping[str, Place], anatomy: Anatomy) -> Iterator[Finding]:
    """A warning, for disease and surgery move organs; that of most cases is an error (`shared`)."""
    if better := exchanged(places, anatomy, EXCHANGE_GAIN) or renamed(places, anatomy, RENAME_GAIN):
        what = ", ".join(f"{organ} lies where {other} should" for organ, other in better.items())
        remedy = "look at the case; correct label_codes if a code has another organ's name, else the label file"
        yield Finding(case, "place", "warning", what, remedy)
