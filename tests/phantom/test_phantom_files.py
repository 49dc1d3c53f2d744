from collections import Counter

import nibabel as nib
import numpy as np
import pytest

from segment.datasets.sources.phantom import Phantom
from segment.errors import UserError
from segment.phantom import LABELS, write_dataset
from segment.phantom import write as module
from segment.phantom.case import synthesise_case
from segment.phantom.field_of_view import SCANS
from segment.phantom.write import ORIENTATIONS, TISSUES

SHAPE = (40, 36, 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("phantom"), num_cases=6, seed=3, shape=SHAPE, workers=1)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.nii.gz")}


def test_the_number_of_workers_does_not_matter(folder, tmp_path):
    other = write_dataset(tmp_path, num_cases=6, seed=3, shape=SHAPE, workers=3)
    assert other.name == folder.name
    assert contents(other) == contents(folder)
    assert len(contents(other)) == 18  # image, label and tissue map of each case


def test_a_larger_data_set_starts_with_the_same_cases(folder, tmp_path):
    fewer = write_dataset(tmp_path, num_cases=2, seed=3, shape=SHAPE)
    assert contents(fewer).items() <= contents(folder).items()


def test_the_files_of_a_case_have_the_same_grid_in_many_orientations(folder):
    seen, offsets = Counter(), set()
    for path in sorted((folder / "images").iterdir()):
        image, label, tissue = (nib.load(folder / kind / path.name) for kind in ("images", "labels", TISSUES))
        assert image.get_data_dtype() == np.int16
        assert label.get_data_dtype() == tissue.get_data_dtype() == np.uint8
        assert image.shape == label.shape == tissue.shape
        assert sorted(image.shape) == [32, 36, 40]
        for form in ("sform", "qform"):
            for volume in (image, label, tissue):
                assert int(volume.header[f"{form}_code"]) == 1
                assert np.allclose(getattr(volume, f"get_{form}")(), image.affine, atol=1e-3)
        assert image.affine.tobytes() == label.affine.tobytes() == tissue.affine.tobytes()
        seen["".join(nib.aff2axcodes(image.affine))] += 1
        offsets.add(image.dataobj.inter)
    assert len(seen) >= 3
    assert offsets == {0, -1024}
    assert seen.keys() <= ORIENTATIONS.keys()


def test_files_hold_the_synthesised_volumes(folder):
    for index, path in enumerate(sorted((folder / "labels").iterdir())[:3]):
        case = synthesise_case(3, index, SHAPE)
        for kind, codes in (("labels", case.label), (TISSUES, case.tissue)):
            volume = nib.as_closest_canonical(nib.load(folder / kind / path.name))
            assert np.array_equal(np.asarray(volume.dataobj), codes)
        image = nib.as_closest_canonical(nib.load(folder / "images" / path.name))
        assert np.array_equal(np.asarray(image.dataobj), case.hu)
        assert np.allclose(image.header.get_zooms(), case.spacing_mm, rtol=1e-4)


def test_organs_are_on_the_correct_side(folder):
    """Positions are in RAS+ mm, from the affines of the files only."""
    seen = Counter(liver=0, right_kidney=0)
    for path in (folder / "labels").iterdir():
        label = nib.load(path)
        codes = np.asarray(label.dataobj)
        at = {}
        for name in ("liver", "spleen", "right_kidney", "left_kidney"):
            voxels = np.argwhere(codes == LABELS[name])
            if len(voxels):
                at[name] = (label.affine @ [*voxels.mean(axis=0), 1])[:3]
        for right, left in (("liver", "spleen"), ("right_kidney", "left_kidney")):
            if {right, left} <= at.keys():
                seen[right] += 1
                assert at[right][0] > at[left][0] + 60
    assert min(seen.values()) >= 3


def test_a_second_call_completes_an_interrupted_one(folder, tmp_path, monkeypatch):
    synthesised = []

    def synthesise_three(seed, index, shape, scans, without):
        if len(synthesised) == 3:
            raise KeyboardInterrupt
        synthesised.append(index)
        return synthesise_case(seed, index, shape, scans, without)

    arguments = {"num_cases": 6, "seed": 3, "shape": SHAPE}
    monkeypatch.setattr(module, "synthesise_case", synthesise_three)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, **arguments)
    half = tmp_path / folder.name
    assert contents(half).items() < contents(folder).items()
    (half / "labels" / "phantom_seed3_0001.nii.gz").unlink()
    (half / TISSUES / "phantom_seed3_0002.nii.gz").unlink()
    monkeypatch.undo()
    assert contents(write_dataset(tmp_path, **arguments)) == contents(folder)
    monkeypatch.setattr(module, "synthesise_case", None)  # no case is synthesised again
    write_dataset(tmp_path, **arguments)


def test_patients_of_another_seed_have_other_names(tmp_path):
    names = set()
    for seed in (0, 1):
        names |= {case.id for case in Phantom(tmp_path, num_cases=1, seed=seed, shape=[16, 16, 16]).cases("phantom")}
    assert names == {"phantom/phantom_0000", "phantom/phantom_seed1_0000"}


def test_data_sets_have_different_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write_case", lambda *_: None)
    sets = [(2, 0, (16, 16, 16)), (3, 0, (16, 16, 16)), (2, 1, (16, 16, 16)), (2, 0, (16, 16, 17))]
    folders = [write_dataset(tmp_path, num_cases=n, seed=seed, shape=shape) for n, seed, shape in sets]
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    folders.append(write_dataset(tmp_path, num_cases=2, seed=0, shape=(16, 16, 16)))
    for scans in (["slab"], ["abdomen"], ["abdomen", "slab"]):
        folders.append(write_dataset(tmp_path, num_cases=2, seed=0, shape=(16, 16, 16), scans=scans))
    assert len(set(folders)) == 8
    assert folders[-1].name.endswith("-2cases-abdomen-slab")


def test_all_scans_in_any_order_are_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write_case", lambda *_: None)
    sets = [{}, {"scans": list(SCANS)[::-1]}]
    assert len({write_dataset(tmp_path, num_cases=1, seed=0, shape=(16, 16, 16), **scans) for scans in sets}) == 1


@pytest.mark.parametrize(("scans", "message"), [([], "scans is empty"), (["abdomen", "knee"], "scans has 'knee'")])
def test_unknown_scans_are_refused_with_the_choices(tmp_path, scans, message):
    with pytest.raises(UserError, match=f"{message}; choose from 'chest, abdomen and pelvis', 'abdomen and pelvis'"):
        write_dataset(tmp_path, num_cases=1, seed=0, shape=(16, 16, 16), scans=scans)


def test_what_is_left_out_names_the_folder_and_must_be_known(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write_case", lambda *_: None)
    one = {"num_cases": 1, "seed": 0, "shape": (16, 16, 16)}
    folder = write_dataset(tmp_path, **one, scans=["slab"], without=["scanner", "disease"])
    assert folder.name.endswith("-1cases-slab-no_disease-no_scanner")
    with pytest.raises(UserError, match="without has 'noise'; choose from 'disease', 'scanner'"):
        write_dataset(tmp_path, **one, without=["noise"])


def test_the_source_lists_its_cases(tmp_path):
    cases = Phantom(tmp_path, num_cases=2, seed=0, shape=[16, 16, 16]).cases("phantom")
    assert [case.id for case in cases] == ["phantom/phantom_0000", "phantom/phantom_0001"]
    assert all(case.image.is_file() and case.label.path.is_file() for case in cases)
    assert all(case.tissues.is_file() for case in cases)
    assert cases[0].label.codes == LABELS


@pytest.mark.parametrize(
    "wrong", [{"num_cases": 0}, {"seed": -1}, {"seed": 2**32}, {"workers": 0}, {"shape": (128, 128, 8)}]
)
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(UserError, match="at least"):
        write_dataset(tmp_path, **({"num_cases": 1, "seed": 0, "shape": (32, 32, 32)} | wrong))
