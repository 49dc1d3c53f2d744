"""One input of `segment predict`, read and checked for being a CT."""

import logging

from segment.errors import UserError
from segment.inference.inputs.find import Input
from segment.io.advice import FOR_PREDICTION
from segment.io.dicom import CTS, Series, SeriesFolder
from segment.io.hounsfield import LABEL_MAP, NO_AIR, check_hu, check_possible
from segment.io.left_out import LeftOut
from segment.io.read import read_ct_file
from segment.io.scan import Scan, report_odd

log = logging.getLogger(__name__)


def read_input(one: Input, series: str | None, straighten: bool) -> tuple[Scan | None, list[LeftOut]]:
    """A CT, with the other series in its folder; or None, and why it is left out.

    A label map that lies among CTs is left out. Numbers that may be HU but look odd are reported in the log.

    Args:
        one: The input.
        series: As in `read_ct`; a folder without this series is left out.
        straighten: As in `read_ct`.

    Raises:
        UserError: As `read_ct`, and when the numbers cannot be HU, or the user named a label map.
    """
    left_out: list[LeftOut] = []
    if one.path.is_dir():
        folder = SeriesFolder(one.path, below=False, advice=FOR_PREDICTION)
        if series and all(other.uid != series for other in folder.series):
            return None, [LeftOut(one.shown, f"no series {series} in it", is_expected=True)]
        chosen = folder.chosen(series)
        left_out = [_other(one, other, chosen) for other in folder.series if other != chosen]
        scan = folder.read(chosen.uid, straighten)
    else:
        scan = read_ct_file(one.path)
    fault = check_possible(scan.data)
    if fault is not None and fault.check == LABEL_MAP and not one.is_named:
        return None, [LeftOut(one.shown, "a label map, no CT", is_expected=True)]
    if fault is not None:
        msg = f"{one.path} cannot be a CT: {fault.what}; {fault.remedy}"
        raise UserError(msg)
    report_odd(one.path, scan)
    for odd in check_hu(scan.data):
        if odd.check != NO_AIR:  # which is reported above
            log.warning("%s: %s; %s", one.shown, odd.what, odd.remedy)
    return scan, left_out


def _other(one: Input, other: Series, chosen: Series) -> LeftOut:
    """A series of a folder that is not read."""
    reason = f"DICOM, but no CT: {other.kind}"
    if other.kind in CTS:
        reason = f"the series {chosen.uid} of its folder is segmented; series=<UID> chooses another"
    return LeftOut(f"{one.shown}: {other}", reason)
