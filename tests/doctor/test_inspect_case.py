from dataclasses import replace

import numpy as np
import torso
from dicom_files import stack_positions, write_series
from torso import ORGANS, found, write_case

from segment.data.store.fingerprint import voxel_hash
from segment.doctor.inspect_case import inspect
from segment.io import dicom


def test_a_damaged_ct_is_a_finding_and_not_an_exception(tmp_path):
    case = write_case(tmp_path)
    case.image.write_bytes(case.image.read_bytes()[:1000])
    seen = inspect(case, ORGANS, torso.ANATOMY)
    assert [(f.severity, f.check) for f in seen.findings] == [("error", "unreadable")]
    assert seen.findings[0].what.startswith(f"cannot read {case.image}: it is damaged")
    assert (seen.scan, seen.classes, seen.voxel_hash, seen.shown) == (None, None, "", None)


def test_geometry_in_metres_is_an_error(tmp_path):
    case = write_case(tmp_path, change=lambda image: image.header.set_xyzt_units("meter"))
    assert found(case) == {("error", "unreadable", "")}


def test_scan_classes_and_hash_are_returned(tmp_path):
    hu, label = torso.torso()
    seen = inspect(write_case(tmp_path, hu=hu, label=label), ORGANS, torso.ANATOMY)
    assert (seen.scan.data == hu).all()
    assert (seen.classes == label).all()
    assert seen.voxel_hash == voxel_hash(hu)
    assert seen.shown == {ORGANS[index - 1] for index in np.unique(label) if index}


def test_the_image_is_checked_even_with_a_bad_label(tmp_path):
    hu, label = torso.torso()
    case = write_case(tmp_path, hu=(hu + 1024).clip(0), label=label * 9)
    assert found(case) == {("error", "label codes", ""), ("error", "no rescale", "")}


def test_an_image_that_is_not_in_hu_is_a_single_finding(tmp_path):
    hu, label = torso.torso()
    assert found(write_case(tmp_path, hu=(hu + 1024).clip(0), label=label)) == {("error", "no rescale", "")}


def test_a_folder_of_several_cts_is_a_warning_until_one_is_chosen(tmp_path):
    folder = tmp_path / "dicom"
    air = np.array([[0, 1000], [1100, 1000]], np.int16)
    write_series(folder / "a", stack_positions(4), stored=air, SeriesInstanceUID="1.2.1", SeriesDescription="lung")
    write_series(folder / "b", stack_positions(6), stored=air, SeriesInstanceUID="1.2.2", SeriesDescription=None)
    localizer = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesInstanceUID": "1.2.3"}
    write_series(folder / "c", stack_positions(9), stored=air, **localizer)
    case = replace(write_case(tmp_path), image=folder)
    (finding,) = (f for f in inspect(case, ORGANS, torso.ANATOMY).findings if f.check == "several series")
    assert finding.severity == "warning"
    assert finding.what.startswith("2 axial CTs are in its folder, 1.2.2 (no description, 6 slices, axial), 1.2.")
    assert finding.remedy == "choose one by writing its UID into the column series of a manifest"
    assert ("warning", "several series", "") not in found(replace(case, series="1.2.1"))


def test_two_cts_of_the_same_size_in_a_folder_are_an_error_that_names_them(tmp_path, monkeypatch):
    folder = tmp_path / "dicom"
    for name, uid in (("soft", "1.2.1"), ("lung", "1.2.2")):
        write_series(folder / name, stack_positions(4), SeriesInstanceUID=uid, SeriesDescription=name)
    case = replace(write_case(tmp_path), image=folder)
    seen = []
    real = dicom.read_header
    monkeypatch.setattr(dicom, "read_header", lambda path: seen.append(path) or real(path))
    (finding,) = inspect(case, ORGANS, torso.ANATOMY).findings
    assert (finding.severity, finding.check) == ("error", "several series")
    assert "1.2.1 (soft, 4 slices, axial), 1.2.2 (lung, 4 slices, axial): none was read" in finding.what
    assert finding.remedy == "choose one by writing its UID into the column series of a manifest"
    inspect(replace(case, series="1.2.1"), ORGANS, torso.ANATOMY)
    assert len(seen) == 2 * 8  # every header once in each inspection


def test_the_remedy_comes_from_the_readers_error(tmp_path):
    write_series(tmp_path / "dicom", [(0, 0, 0), (0, 0, 2), (0, 0, 5), (0, 0, 7.5)])
    (finding,) = inspect(replace(write_case(tmp_path), image=tmp_path / "dicom"), ORGANS, torso.ANATOMY).findings
    assert finding.check == "unreadable"
    assert finding.remedy.startswith("run segment predict with straighten=true, and annotate the straightened CT")
