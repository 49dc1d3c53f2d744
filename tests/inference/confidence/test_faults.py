import numpy as np
import pytest
from organ_masks import USUAL, affine, draw

from segment.data.volumes import LabelledScan
from segment.inference.confidence.faults import FAULTS
from segment.inference.confidence.provoke import provoked
from segment.io.scan import Scan, geometry_header


def case():
    classes = draw(list(USUAL.items()))
    hu = np.full(classes.shape, -1000, np.int16)
    hu[3:47, 4:32] = -100
    hu[classes > 0] = 60
    return Scan(hu, affine(), geometry_header(hu.shape, affine()), hu.shape), classes


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_keeps_ct_and_classes_on_one_grid_and_can_be_repeated(name):
    scan, classes = case()
    before = scan.data.copy(), classes.copy()
    for seed in range(3):
        faulty, changed = FAULTS[name](scan, classes, np.random.default_rng(seed))
        again = FAULTS[name](scan, classes, np.random.default_rng(seed))
        assert faulty.data.shape == changed.shape == faulty.shape
        assert (faulty.data.dtype, changed.dtype) == (np.int16, np.uint8)
        assert np.array_equal(faulty.data, again[0].data)
        assert np.array_equal(changed, again[1])
        assert abs(np.linalg.det(faulty.affine)) > 0
        same = np.array_equal(faulty.data, scan.data) and np.array_equal(faulty.affine, scan.affine)
        assert same == (name == "sound")
    assert np.array_equal(scan.data, before[0])
    assert np.array_equal(classes, before[1])


def test_mirroring_keeps_the_names_of_organs():
    """The right kidney is still the one below the liver, though it now lies on the left."""
    scan, classes = case()
    faulty, changed = FAULTS["mirrored"](scan, classes, np.random.default_rng(0))
    assert np.array_equal(changed[::-1], classes)
    liver, right_kidney = (np.argwhere(changed == index)[:, 0].mean() for index in (1, 2))
    assert max(liver, right_kidney) < 24.5
    assert np.array_equal(faulty.affine, scan.affine)


def test_a_removed_organ_is_gone_from_ct_and_classes():
    scan, classes = case()
    for seed in range(6):
        faulty, changed = FAULTS["removed"](scan, classes, np.random.default_rng(seed))
        gone = (classes > 0) & (changed == 0)
        assert gone.any()
        assert np.median(faulty.data[gone]) < -40


def test_faults_of_a_case_depend_on_its_name_only():
    scan, classes = case()
    flipped = Scan(scan.data[::-1], scan.affine @ _flip(), scan.header, scan.shape)
    annotated = [True] * 5
    one = list(provoked(LabelledScan("set/a", scan, classes, annotated), 3))
    two = list(provoked(LabelledScan("other/a", flipped, classes[::-1], annotated), 3))
    assert [name for name, _, _ in one] == [name for name, _, _ in two]
    assert one[0][0] == "sound"
    assert len({name for name, _, _ in one}) == 4
    for (_, scan_one, classes_one), (_, scan_two, classes_two) in zip(one, two, strict=True):
        assert np.array_equal(scan_one.data, scan_two.data)
        assert np.array_equal(classes_one, classes_two)
    assert len(list(provoked(LabelledScan("set/a", scan, classes, annotated), 100))) <= len(FAULTS)


def _flip():
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = 49
    return flip
