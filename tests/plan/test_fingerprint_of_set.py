import json

import numpy as np
import pytest
from small_ct import CODES, ORGANS, transform, write_case

from segment.data.store import content
from segment.data.store import facts as facts_module
from segment.data.store.facts import PERCENTILES, CaseFacts, measure_case
from segment.data.store.store import Store
from segment.datasets.sources.folder import Folder
from segment.errors import UserError
from segment.io.read import read_ct
from segment.plan.fingerprint import Fingerprint, make_fingerprint, read_fingerprint


def case(**changes):
    values = {
        "spacing_mm": (0.8, 0.8, 5.0),
        "shape": (512, 512, 60),
        "annotated": ("liver", "spleen"),
        "volume_ml": {"liver": 1500.0, "spleen": 200.0},
        "cut": (),
        "organ_hu": (-50, *[100] * 19, 200),
        "body_hu": tuple(range(-100, 110, 10)),
    }
    return CaseFacts(**(values | changes))


def test_a_ct_is_measured_along_the_patients_axes(tmp_path):
    write_case(tmp_path, "a", shape=(24, 20, 16), spacing_mm=(2, 2, 3))
    scan = read_ct(tmp_path / "images" / "a.nii.gz")
    turned = type(scan)(scan.data.transpose(2, 0, 1), scan.affine[:, [2, 0, 1, 3]], scan.header, scan.shape)
    label = np.zeros(scan.data.shape, np.uint8)
    label[4:10, 4:10, 4:10] = 1
    facts = measure_case(scan, label, ORGANS, ["liver"])
    assert (facts.spacing_mm, facts.shape) == ((2, 2, 3), (24, 20, 16))
    assert facts.volume_ml == {"liver": pytest.approx(6**3 * 0.012, abs=0.01)}
    assert facts.annotated == ("liver",)
    assert len(facts.organ_hu) == len(facts.body_hu) == len(PERCENTILES)
    assert list(facts.organ_hu) == sorted(facts.organ_hu)
    assert measure_case(turned, label.transpose(2, 0, 1), ORGANS, ["liver"]) == facts
    assert CaseFacts.from_json(facts.to_json()) == facts


def test_many_voxels_are_sampled_from_all_columns(monkeypatch):
    monkeypatch.setattr(facts_module, "SAMPLED", 1000)
    columns = np.full((64, 50, 20), -1000, np.int16)  # 64 times as many voxels as are sampled
    columns[10:42] = 50
    for order in "CF":
        sampled = facts_module._sample(np.array(columns, order=order).ravel(order="K"))
        assert sampled.size == 1000
        assert np.mean(sampled == 50) == pytest.approx(0.5, abs=0.06)


def test_a_ct_without_organs_has_no_hu_of_them(tmp_path):
    write_case(tmp_path, "a")
    scan = read_ct(tmp_path / "images" / "a.nii.gz")
    facts = measure_case(scan, np.zeros(scan.data.shape, np.uint8), ORGANS, ORGANS)
    assert facts.organ_hu == ()
    assert facts.volume_ml == {}


def test_preparation_records_the_facts_and_a_plan_need_not_read_again(tmp_path, monkeypatch):
    write_case(tmp_path / "set", "a")
    later = content.time.time_ns() + 120 * 10**9  # files that have just changed are not recorded
    monkeypatch.setattr(content.time, "time_ns", lambda: later)
    cases = Folder(tmp_path / "set", CODES).cases("set")
    store = Store(tmp_path / "store", transform(), ORGANS)
    store.prepare(cases)
    measured = measure_case(*store._read(cases[0]), ORGANS, cases[0].label.structures)
    monkeypatch.setattr(Store, "_read", lambda *_: pytest.fail("read again"))
    assert store.facts(cases) == {"set/a": measured}


def test_facts_of_an_unreadable_case_are_refused_with_its_name(tmp_path):
    write_case(tmp_path, "a")
    cases = Folder(tmp_path, CODES).cases("set")
    (tmp_path / "labels" / "a.nii.gz").write_bytes(b"no image")
    with pytest.raises(UserError, match="set/a: "):
        Store(tmp_path / "store", transform(), ORGANS).facts(cases)


def test_a_set_is_summarised():
    cases = [case(), case(spacing_mm=(0.7, 0.7, 1.0), annotated=("liver",), volume_ml={"liver": 900.0}, cut=("liver",))]
    facts = make_fingerprint("mine", cases, 2, ["liver", "spleen"], with_tissues=0)
    assert facts.spacing_mm == (0.75, 0.75, 3.0)
    assert facts.spacing_low_mm[2] == pytest.approx(1.4)
    assert (facts.thick, facts.partial) == (0.5, 1)
    assert facts.organs["liver"].shown == 2
    assert facts.organs["liver"].smallest_ml == 1500.0  # the other is cut
    assert facts.organs["spleen"].annotated == 1
    assert facts.organ_hu == (-50, 200)


def test_a_fingerprint_is_read_back(tmp_path):
    facts = make_fingerprint("mine", [case()], 1, ["liver", "spleen"], with_tissues=0)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(facts.plain()))
    assert isinstance(read_fingerprint(path), Fingerprint)
    assert read_fingerprint(path) == facts


@pytest.mark.parametrize(
    "changes", [{"name": "mine\n_target_: x"}, {"spacing_mm": [0, 1, 1]}, {"patients": 0}, {"test_patients": -1}]
)
def test_a_fingerprint_that_makes_no_sense_is_refused(tmp_path, changes):
    path = tmp_path / "mine.json"
    facts = make_fingerprint("mine", [case()], 1, ["liver", "spleen"], with_tissues=0)
    path.write_text(json.dumps(facts.plain() | changes))
    with pytest.raises(UserError, match=r"mine.json is not the fingerprint of a data set \((name|numbers that must)"):
        read_fingerprint(path)


@pytest.mark.parametrize("text", ["", "[]", '{"organs": {}}', '{"organs": {"liver": {"size": 1}}}'])
def test_a_file_that_is_no_fingerprint_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"other.json is not the fingerprint of a data set"):
        read_fingerprint(path)
