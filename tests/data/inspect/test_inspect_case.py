import torso
from torso import ORGANS, found, write_case

from segment.data.fingerprint import voxel_hash
from segment.data.inspect.case import inspect


def test_a_damaged_ct_is_an_error_and_no_exception(tmp_path):
    case = write_case(tmp_path)
    case.image.write_bytes(case.image.read_bytes()[:1000])
    seen = inspect(case, ORGANS, torso.ANATOMY)
    assert [(f.severity, f.check) for f in seen.findings] == [("error", "unreadable")]
    assert seen.findings[0].what.startswith(f"cannot read {case.image}: it is damaged")
    assert (seen.scan, seen.classes, seen.voxel_hash) == (None, None, "")


def test_metres_are_refused(tmp_path):
    case = write_case(tmp_path, change=lambda image: image.header.set_xyzt_units("meter"))
    assert found(case) == {("error", "unreadable", "")}


def test_what_was_read_is_handed_on(tmp_path):
    hu, label = torso.torso()
    seen = inspect(write_case(tmp_path, hu=hu, label=label), ORGANS, torso.ANATOMY)
    assert (seen.scan.data == hu).all()
    assert (seen.classes == label).all()
    assert seen.voxel_hash == voxel_hash(hu)


def test_a_bad_label_leaves_the_image_to_be_judged(tmp_path):
    hu, label = torso.torso()
    case = write_case(tmp_path, hu=(hu + 1024).clip(0), label=label * 9)
    assert found(case) == {("error", "label codes", ""), ("error", "no rescale", "")}


def test_an_image_that_is_not_in_hu_is_told_once(tmp_path):
    hu, label = torso.torso()
    assert found(write_case(tmp_path, hu=(hu + 1024).clip(0), label=label)) == {("error", "no rescale", "")}
