import math

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from segment.curve.descriptor import OF_CT, OF_ORGAN, describe, largest_differences, similarity
from segment.io.read import read_ct_file

NAMES = [*OF_CT, *(f"{organ}: {name}" for organ in tiny.ORGANS for name in OF_ORGAN)]
DESCRIPTORS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.floats(-100, 100), min_size=1), min_size=1, max_size=5
)


@pytest.fixture
def body(tmp_path):
    hu, classes = tiny.body()
    return read_ct_file(tiny.save(tmp_path / "ct.nii.gz", hu)), classes


def test_a_ct_is_described_by_scanner_body_and_organs(body):
    scan, classes = body
    found = describe(scan, classes, tiny.ORGANS, [True, True, True])
    assert found["pixel size"] == 1  # 2 mm
    assert found["slice thickness"] == pytest.approx(math.log2(5), abs=1e-4)
    assert found["height of the scan"] == pytest.approx(math.log2(60), abs=1e-4)
    assert found["noise"] == 0
    assert found["liver: volume"] == pytest.approx(math.log2(180 * 0.03), abs=1e-4)
    assert [found["liver: HU"], found["spleen: HU"]] == [120, 230]
    assert [found["liver: presence"], found["liver: cut ends"]] == [1, 0]
    assert all(math.isfinite(value) for value in found.values())


def test_an_absent_organ_is_described_and_an_unknown_one_is_not(body):
    scan, classes = body
    found = describe(scan, np.where(classes == 1, classes, 0), tiny.ORGANS, [True, True, True])
    assert {name: value for name, value in found.items() if name.startswith("spleen")} == {"spleen: presence": 0}
    assert not [name for name in describe(scan, classes, tiny.ORGANS, [True, True, False]) if "spleen" in name]


def test_one_unit_in_everything_is_a_similarity_of_one_over_e():
    one = dict.fromkeys(NAMES, 0.0)
    other = {name: (OF_CT | OF_ORGAN)[name.rpartition(": ")[2]] for name in NAMES}
    assert similarity([one], [one, other]) == pytest.approx(np.array([[1, math.exp(-1)]]))


def test_ct_and_organs_count_equally_and_what_one_lacks_does_not():
    one, other = (
        {"noise": 0.0, "liver: HU": 0.0, "spleen: HU": 9.0},
        {"noise": 0.5, "liver: HU": 80.0, "pixel size": 1.0},
    )
    assert similarity([one], [other])[0, 0] == pytest.approx(math.exp(-(1 + 4) / 2))
    assert similarity([{"noise": 0.0}], [other])[0, 0] == pytest.approx(math.exp(-1))


def test_cts_with_nothing_in_common_are_not_alike():
    assert similarity([{"noise": 0.0}], [{"pixel size": 0.0}, {"liver: HU": 9.0}]).tolist() == [[0, 0]]


def test_without_others_there_is_no_similarity():
    assert similarity([{"noise": 0.0}], []).shape == (1, 0)


def test_the_clearest_differences_are_named():
    one = {"noise": 0.0, "liver: HU": 0.0, "sharpness": 0.0, "pixel size": 0.0}
    other = {"noise": 2.0, "liver: HU": -120.0, "sharpness": 10.0, "HU of fat": 99.0, "pixel size": 1.5}
    assert largest_differences(one, other) == ["noise", "liver: HU", "pixel size"]
    assert largest_differences(one, other, count=1) == ["noise"]
    assert largest_differences(one, one) == []


@given(DESCRIPTORS)
def test_similarity_is_symmetric_between_0_and_1_and_1_to_itself(descriptors):
    found = similarity(descriptors, descriptors)
    assert found == pytest.approx(found.T)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.diag(found) == pytest.approx(np.ones(len(descriptors)))
