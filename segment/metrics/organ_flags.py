"""Flag implausible organs of a predicted mask, in words."""

from segment.anatomy.anatomy import Anatomy
from segment.metrics.organ_measures import OrganMeasures


def organ_flags(measures: OrganMeasures, anatomy: Anatomy) -> list[str]:
    """What a reader should check about an organ. Each flag is one phrase that starts with its kind; empty if none.

    The kinds are `absent`, `cut`, `volume` (outside the range of the anatomy) and `pieces`. An organ that the scan cuts
    may be smaller than the range, so then only a volume above it is flagged. An organ without a range has no flag of
    its volume.
    """
    if measures.hu_mean is None:  # the volume of a few voxels is rounded to 0
        return ["absent: the mask does not have it"]
    flags = []
    if measures.cut_by and measures.organ not in anatomy.running_through:
        flags.append(f"cut: by the {' and '.join(measures.cut_by)} end of the scan")
    if measures.organ in anatomy.volume_ml:
        low, high = anatomy.volume_ml[measures.organ]
        if measures.volume_ml > high or (measures.volume_ml < low and not measures.cut_by):
            flags.append(f"volume: {measures.volume_ml:.3g} mL, plausible are {low:g} to {high:g} mL")
    if len(measures.pieces_ml) > 1:
        flags.append(f"pieces: {len(measures.pieces_ml)}, the second of {measures.pieces_ml[1]:.3g} mL")
    return flags
