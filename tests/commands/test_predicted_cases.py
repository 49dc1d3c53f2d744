import pytest
import tiny

from segment.commands.predicted_cases import PredictedCase, organs_of
from segment.errors import UserError
from segment.inference.inputs.find_inputs import Input


def test_a_folder_without_the_chosen_series_is_not_the_ct_of_a_mask(tmp_path):
    tiny.write_dicom(tmp_path / "series")
    given = Input(tmp_path / "series", "series", is_named=False)
    case = PredictedCase("series", tmp_path / "series_seg.nii.gz", tmp_path / "series_report.json", given, None)
    with pytest.raises(UserError, match=r"series is not the CT of .*_seg\.nii\.gz: no series 1\.2 in it; give"):
        case.read_scan("1.2")


def test_the_table_names_the_organs(tmp_path):
    table = tmp_path / "volumes.csv"
    table.write_text("case,organ,volume_ml\na,liver,1\na,spleen,2\nb,liver,3\n")
    assert organs_of(tmp_path) == ["liver", "spleen"]
    table.write_text("case,organ,volume_ml\n")
    with pytest.raises(UserError, match=r"volumes\.csv names no organ; run segment predict again"):
        organs_of(tmp_path)
    for content in ("case,volume_ml\na,1\n", None):
        table.unlink() if content is None else table.write_text(content)
        with pytest.raises(UserError, match="does not name the organs of the masks in a column organ"):
            organs_of(tmp_path)
