"""Read an input of `segment predict`, and check that it is a CT."""

import logging
from pathlib import Path

from segment.errors import UserError
from segment.inference.inputs.find_inputs import Input
from segment.io.advice import FOR_PREDICTION, Advice
from segment.io.dicom import CTS, Series, SeriesFolder
from segment.io.hounsfield import LABEL_MAP, NO_AIR, check_hu, check_possible
from segment.io.left_out import LeftOut
from segment.io.read import read_ct_file
from segment.io.scan import Scan, warn_if_suspicious

log = logging.getLogger(__name__)


def read_input(
    candidate: Input, series: str | None, straighten: bool, advice: Advice = FOR_PREDICTION
) -> tuple[Scan | None, list[LeftOut]]:
    """Read a CT.

    A label map is left out, unless the user named it. Values that may be HU but are unusual are logged as warnings.

    Args:
        candidate: The input.
        series: As in `read_ct`; a folder without this series is left out.
        straighten: As in `read_ct`.
        advice: Remedies for errors about DICOM series.

    Returns:
        The CT and the other series of its folder, which are left out; or None and the reason why the input is left out.

    Raises:
        UserError: As in `read_ct`, and when the CT is one slice, its values cannot be HU, or the user named a
            label map.
    """
    left_out: list[LeftOut] = []
    if candidate.path.is_dir():
        folder = SeriesFolder(candidate.path, recursive=False, advice=advice)
        if series and all(other.uid != series for other in folder.series):
            return None, [LeftOut(candidate.display_name, f"no series {series} in it", is_expected=True)]
        chosen = folder.choose(series)
        left_out = [_other(candidate, other, chosen) for other in folder.series if other != chosen]
        scan = folder.read(chosen.uid, straighten)
    else:
        scan = read_ct_file(candidate.path)
    check_slices(candidate.path, scan)
    fault = check_possible(scan.data)
    if fault is not None and fault.check == LABEL_MAP and not candidate.is_named:
        return None, [LeftOut(candidate.display_name, "a label map, not a CT", is_expected=True)]
    if fault is not None:
        msg = f"{candidate.path} cannot be a CT: {fault.what}; {fault.remedy}"
        raise UserError(msg)
    warn_if_suspicious(candidate.path, scan)
    for finding in check_hu(scan.data):
        if finding.check != NO_AIR:  # logged by `warn_if_suspicious` already
            log.warning("%s: %s; %s", candidate.display_name, finding.what, finding.remedy)
    return scan, left_out


def check_slices(path: Path, scan: Scan) -> None:
    """Refuse a CT that is one slice along any axis.

    Raises:
        UserError: With its size.
    """
    if min(scan.data.shape) < 2:
        msg = f"{path} has {'x'.join(map(str, scan.data.shape))} voxels, one slice; give a whole volume"
        raise UserError(msg)


def _other(candidate: Input, other: Series, chosen: Series) -> LeftOut:
    """A series of the folder that is not segmented, with the reason."""
    reason = f"DICOM, but not a CT: {other.kind}"
    if other.kind in CTS:
        reason = f"the series {chosen.uid} of its folder is segmented; series=<UID> chooses another"
    return LeftOut(f"{candidate.display_name}: {other}", reason)
