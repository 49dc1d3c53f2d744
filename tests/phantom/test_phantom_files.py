from collections import Counter

import nibabel as nib
import numpy as np
import pytest

from segment.datasets.sources.phantom import Phantom
from segment.errors import UserError
from segment.phantom import LABELS, write_dataset
from segment.phantom import write as module
from segment.phantom.case import synthesise_case
from segment.phantom.write import ORIENTATIONS

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
    assert len(contents(other)) == 12


def test_a_larger_data_set_starts_with_the_same_cases(folder, tmp_path):
    fewer = write_dataset(tmp_path, num_cases=2, seed=3, shape=SHAPE)
    assert contents(fewer).items() <= contents(folder).items()


def test_image_and_label_have_the_same_grid_in_many_orientations(folder):
    seen, offsets = Counter(), set()
    for path in sorted((folder / "images").iterdir()):
        image, label = nib.load(path), nib.load(folder / "labels" / path.name)
        assert image.get_data_dtype() == np.int16
        assert label.get_data_dtype() == np.uint8
        assert image.shape == label.shape
        assert sorted(image.shape) == [32, 36, 40]
        for form in ("sform", "qform"):
            for volume in (image, label):
                assert int(volume.header[f"{form}_code"]) == 1
                assert np.allclose(getattr(volume, f"get_{form}")(), image.affine, atol=1e-3)
        assert image.affine.tobytes() == label.affine.tobytes()
        seen["".join(nib.aff2axcodes(image.affine))] += 1
        offsets.add(image.dataobj.inter)
    assert len(seen) >= 3
    assert offsets == {0, -1024}
    assert seen.keys() <= ORIENTATIONS.keys()


def test_files_hold_the_synthesised_volumes(folder):
    for index, path in enumerate(sorted((folder / "labels").iterdir())):
        label = nib.load(path)
        case = synthesise_case(3, index, SHAPE)
        assert np.array_equal(np.asarray(nib.as_closest_canonical(label).dataobj), case.label)
        image = nib.as_closest_canonical(nib.load(folder / "images" / path.name))
        assert np.array_equal(np.asarray(image.dataobj), case.hu)
        assert np.allclose(image.header.get_zooms(), case.spacing_mm, rtol=1e-4)


def test_organs_are_on_the_correct_side(folder):
    """Positions are in RAS+ mm, from the affines of the files only."""
    for path in (folder / "labels").iterdir():
        label = nib.load(path)
        codes = np.asarray(label.dataobj)
        at = {
            name: (label.affine @ [*np.argwhere(codes == LABELS[name]).mean(axis=0), 1])[:3]
            for name in ("liver", "spleen", "aorta", "vena_cava", "stomach")
        }
        assert at["liver"][0] > at["spleen"][0] + 60
        assert at["vena_cava"][0] > at["aorta"][0] + 5
        assert at["stomach"][1] > at["spleen"][1]
        assert at["liver"][2] > at["aorta"][2] - 60


def test_a_second_call_completes_an_interrupted_one(folder, tmp_path, monkeypatch):
    synthesised = []

    def synthesise_three(seed, index, shape):
        if len(synthesised) == 3:
            raise KeyboardInterrupt
        synthesised.append(index)
        return synthesise_case(seed, index, shape)

    arguments = {"num_cases": 6, "seed": 3, "shape": SHAPE}
    monkeypatch.setattr(module, "synthesise_case", synthesise_three)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, **arguments)
    half = tmp_path / folder.name
    assert contents(half).items() < contents(folder).items()
    (half / "labels" / "phantom_0001.nii.gz").unlink()
    monkeypatch.undo()
    assert contents(write_dataset(tmp_path, **arguments)) == contents(folder)
    monkeypatch.setattr(module, "synthesise_case", None)  # no case is synthesised again
    write_dataset(tmp_path, **arguments)


def test_data_sets_have_different_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write_case", lambda *_: None)
    sets = [(2, 0, (16, 16, 16)), (3, 0, (16, 16, 16)), (2, 1, (16, 16, 16)), (2, 0, (16, 16, 17))]
    folders = [write_dataset(tmp_path, num_cases=n, seed=seed, shape=shape) for n, seed, shape in sets]
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    folders.append(write_dataset(tmp_path, num_cases=2, seed=0, shape=(16, 16, 16)))
    assert len(set(folders)) == 5


def test_the_source_lists_its_cases(tmp_path):
    cases = Phantom(tmp_path, num_cases=2, seed=0, shape=[16, 16, 16]).cases("phantom")
    assert [case.id for case in cases] == ["phantom/phantom_0000", "phantom/phantom_0001"]
    assert all(case.image.is_file() and case.label.path.is_file() for case in cases)
    assert cases[0].label.codes == LABELS


@pytest.mark.parametrize("wrong", [{"num_cases": 0}, {"seed": -1}, {"workers": 0}, {"shape": (128, 128, 8)}])
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(UserError, match="at least"):
        write_dataset(tmp_path, **({"num_cases": 1, "seed": 0, "shape": (32, 32, 32)} | wrong))
