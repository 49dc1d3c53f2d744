import gzip
import logging
from dataclasses import replace

import labelled_body
import nibabel as nib
import numpy as np
import pytest

from segment.data.store.content import ContentRecord
from segment.data.store.fingerprint import content_hash
from segment.datasets.annotation import known_classes
from segment.datasets.cases import list_cases, list_usable_cases
from segment.datasets.sources.folder import Folder
from segment.datasets.sources.label_maps import LabelMaps
from segment.errors import UserError
from segment.io.read import read_label
from segment.phantom.tissues import CODES as TISSUES

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]


@pytest.fixture
def root(tmp_path):
    labelled_body.write(tmp_path / "set", "a", "b")
    return tmp_path


def folder(root, **options):
    return Folder(root / "set", options.pop("label_codes", labelled_body.CODES), **options)


def maps(root, **options):
    settings = {"variants": 1, "spacing_mm": [7, 7, 7], "workers": 1, **options}
    return LabelMaps(root / "made", ContentRecord(root / "hashes"), **settings)


def made_of(cases):
    return [case for case in cases if case.made_from is not None]


def test_beside_a_data_set_its_label_maps_become_training_cts_of_the_same_patients(root):
    cases = list_cases({"maps": maps(root, variants=2), "set": folder(root, patient_pattern="(.)")})
    assert [case.id for case in cases] == [
        *("set/a", "set/b", "maps/set_a_0", "maps/set_a_1", "maps/set_b_0", "maps/set_b_1"),
    ]
    for case in made_of(cases):
        assert case.patient == case.made_from.patient == f"set/{case.id[9]}"
        assert case.part == "train"
        scan = case.read()
        classes = case.label.read(scan, case.image, ORGANS)
        tissues = case.read_tissues(scan)
        assert scan.data.shape == classes.shape == tissues.shape
        # Organs of the label are drawn as these organs.
        for organ, allowed in (("spleen", {"spleen", "cyst"}), ("liver", {*TISSUES} - {"muscle", "gas", "lung"})):
            found = np.unique(tissues[classes == ORGANS.index(organ) + 1])
            assert set(found.tolist()) <= {TISSUES[name] for name in allowed}
        assert nib.aff2axcodes(scan.affine) == ("R", "A", "S")


def test_instead_leaves_out_the_cts_themselves(root):
    cases = list_cases({"set": folder(root), "maps": maps(root, instead=True)})
    assert [case.id for case in cases] == ["maps/set_a_0", "maps/set_b_0"]


def test_of_chooses_the_data_sets(root):
    labelled_body.write(root / "other", "c", shift=7)
    sources = {"set": folder(root), "other": Folder(root / "other", labelled_body.CODES)}
    cases = list_cases({**sources, "maps": maps(root, of="other", instead=True)})
    assert [case.id for case in cases] == ["set/a", "set/b", "maps/other_c_0"]
    with pytest.raises(UserError, match=r"data.sources.maps.of names 'x', but the data sets with cases are set, other"):
        list_cases({**sources, "maps": maps(root, of=["set", "x"])})


def test_synthetic_data_sets_are_not_used_unless_named(root):
    class Synthetic(Folder):
        def cases(self, source, refused=None):
            return [replace(case, tissues=case.image) for case in super().cases(source, refused)]

    synthetic = Synthetic(root / "set", labelled_body.CODES)
    with pytest.raises(UserError, match=r"maps has no label maps to make CTs from; add a data set, as in 'data=\["):
        list_cases({"set": synthetic, "maps": maps(root)})
    assert len(made_of(list_cases({"set": synthetic, "maps": maps(root, of=["set"])}))) == 2


def test_excluded_cases_are_neither_used_nor_made_into_others(root):
    cases = list_cases({"set": folder(root), "maps": maps(root, variants=2)}, ["set/a", "maps/set_b_0"])
    assert [case.id for case in cases] == ["set/b", "maps/set_b_1"]


def contents(cases):
    return {case.id: [content_hash(path) for path in (case.image, *case.label.files, case.tissues)] for case in cases}


def voxels(cases):
    return {case.id: nib.load(case.image).get_fdata() for case in cases}


def test_the_same_files_options_and_seed_give_the_same_cts_in_any_place_and_order(root, tmp_path):
    first = voxels(made_of(list_cases({"set": folder(root), "maps": maps(root)})))
    labelled_body.write(tmp_path / "elsewhere" / "set", "a", "b")
    again = voxels(made_of(list_cases({"set": folder(tmp_path / "elsewhere"), "maps": maps(tmp_path, workers=2)})))
    other = voxels(made_of(list_cases({"set": folder(root), "maps": maps(root, seed=1)})))
    for name, volume in first.items():
        np.testing.assert_array_equal(volume, again[name])
        assert volume.shape != other[name].shape or (volume != other[name]).any()
    assert not np.array_equal(first["maps/set_a_0"], first["maps/set_b_0"])


def test_a_second_listing_writes_nothing_and_completes_an_interrupted_one(root, caplog):
    caplog.set_level(logging.INFO)
    sources = {"set": folder(root), "maps": maps(root, variants=2)}
    before = made_of(list_cases(sources))
    hashes = contents(before)
    states = [case.image.stat().st_mtime_ns for case in before]
    before[1].tissues.unlink()
    caplog.clear()
    after = made_of(list_cases(sources))
    assert contents(after) == hashes
    assert [case.image.stat().st_mtime_ns for case in after if case is not after[1]] == [states[0], *states[2:]]
    assert [record.message for record in caplog.records] == ["maps: synthesising 1 CTs from the label map of set/a"]


def test_a_changed_label_map_gives_other_cts(root):
    before = made_of(list_cases({"set": folder(root), "maps": maps(root)}))
    labelled_body.write(root / "set", "b", organs=("liver", "spleen"), shift=1)
    after = made_of(list_cases({"set": folder(root), "maps": maps(root)}))
    assert before[0].image == after[0].image
    assert before[1].image != after[1].image


def test_organs_that_the_map_does_not_know_stay_unknown(root):
    codes = {"liver": 1, "other": [2, 3, 4, 5]}
    cases = list_cases({"set": folder(root, label_codes=codes), "maps": maps(root)})
    case = made_of(cases)[0]
    assert known_classes(case.label, ORGANS) == [True, True, False, False, False]
    assert set(np.unique(read_label(case.label.files[0]).data)) == {0, 1}


def test_sides_are_those_of_the_original(root):
    codes = {"liver": 1, "kidney": [2, 3], "other": [4, 5]}
    sides = {"kidney": ["right_kidney", "left_kidney"]}
    cases = list_cases({"set": folder(root, label_codes=codes, sides=sides), "maps": maps(root)})
    for case in made_of(cases):
        classes = case.label.read(case.read(), case.image, ORGANS)
        places = [np.argwhere(classes == number)[:, 0] for number in (2, 3)]
        if all(map(len, places)):
            assert places[0].mean() > places[1].mean()
        assert set(case.label.structures) == {"liver", "right_kidney", "left_kidney"}


def test_label_maps_without_cts_are_used_from_a_folder(root):
    source = maps(root, maps=root / "set" / "labels", label_codes=labelled_body.CODES)
    cases = list_cases({"maps": source})
    assert [(case.id, case.patient) for case in cases] == [("maps/a_0", "maps/a"), ("maps/b_0", "maps/b")]
    assert cases[0].read().data.min() < -900
    assert cases[0].label.read(cases[0].read(), cases[0].image, ORGANS).any()


def test_a_folder_of_maps_needs_their_codes(root):
    with pytest.raises(UserError, match=r"no value for data.sources.maps.label_codes"):
        list_cases({"maps": maps(root, maps=root / "set" / "labels")})


def test_alone_without_maps_it_says_what_to_add(root):
    with pytest.raises(UserError, match=r"maps has no label maps .* 'data=\[flare22,maps\]', or give a folder"):
        list_cases({"maps": maps(root)})


def test_a_structure_that_nobody_knows_is_named_with_the_option_to_set(root):
    codes = {**labelled_body.CODES, "gizzard": 9}
    with pytest.raises(UserError, match=r"structure 'gizzard' .* 'data.sources.maps.tissues=\{gizzard: muscle\}'"):
        list_cases({"set": folder(root, label_codes=codes), "maps": maps(root)})
    list_cases({"set": folder(root, label_codes=codes), "maps": maps(root, tissues={"gizzard": "stomach"})})


def damage(path):
    path.write_bytes(path.read_bytes()[:200])


def short(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-500]))


def unknown_code(path):
    image = nib.load(path)
    data = np.asarray(image.dataobj).copy()
    data[0, 0, 0] = 77
    nib.save(nib.Nifti1Image(data, image.affine), path)


def empty(path):
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damage, "damaged"),
        (short, "damaged"),
        (unknown_code, "codes that label_codes does not name: 77"),
        (empty, "empty label map; annotate it, or leave"),
    ],
)
def test_a_spoilt_map_is_refused_by_name_and_the_others_are_used(root, spoil, message):
    spoil(root / "set" / "labels" / "a.nii.gz")
    cases, refused = list_usable_cases({"set": folder(root), "maps": maps(root)})
    assert [case.id for case in made_of(cases)] == ["maps/set_b_0"]
    ((name, error),) = refused
    assert name == "maps/set_a"
    assert message in str(error)


def test_more_structures_than_indices_are_refused(root):
    codes = {**labelled_body.CODES, **{f"rib_{n}": n for n in range(10, 300)}}
    with pytest.raises(
        UserError, match=r"set/a has 295 structures, but at most 250 can be synthesised; make some unlabelled"
    ):
        list_cases({"set": folder(root, label_codes=codes), "maps": maps(root)})


def test_a_cache_that_cannot_be_written_is_an_error_with_its_reason(root):
    (root / "made").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write to .*made: .*; free space or choose another cache_dir"):
        list_cases({"set": folder(root), "maps": maps(root)})


def test_options_out_of_range_are_refused(root):
    for option, message in (({"variants": 0}, "variants must be"), ({"deformation": 1.5}, "deformation must be")):
        with pytest.raises(UserError, match=message):
            maps(root, **option)
