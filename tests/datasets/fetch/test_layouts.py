"""Checks of the synthetic sets that other tests use."""

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
from layouts import CASES, LAYOUTS
from synthetic_ct import AFFINE, volume


def test_all_cases_of_a_set_differ():
    for name, make in LAYOUTS.items():
        big = [content for files in make().values() for content in files.values() if len(content) > 1000]
        assert len(set(big)) == len(big) >= len(CASES[name])


def test_the_dicom_series_shows_the_volume_and_its_pictures_are_in_the_order_of_names(tmp_path):
    files = LAYOUTS["chaos_ct"]()["CHAOS_Train_Sets.zip"]
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    folder = tmp_path / "Train_Sets/CT/1"
    names = sorted(path.name for path in (folder / "DICOM_anon").iterdir())
    by_z = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder / "DICOM_anon"))
    image = sitk.ReadImage(by_z)
    picture_of = dict(zip(names, sorted((folder / "Ground").iterdir()), strict=True))
    liver = np.stack([sitk.GetArrayFromImage(sitk.ReadImage(picture_of[path.rsplit("/", 1)[1]])) for path in by_z])

    def ras(array):  # (K,J,I) in LPS to (I,J,K) in RAS
        return array.T[::-1, ::-1]

    true = volume(1)
    assert (ras(sitk.GetArrayFromImage(image)) == true.hu).all()
    assert (ras(liver) == true.masks["liver"] * 255).all()
    assert image.GetSpacing() == (3.0, 3.0, 5.0)
    corner = AFFINE @ [23, 19, 0, 1]
    assert image.GetOrigin() == (-corner[0], -corner[1], corner[2])


def test_the_organs_are_where_they_are_in_people():
    true = volume(0)
    assert nib.aff2axcodes(AFFINE) == ("R", "A", "S")
    middle = {name: np.argwhere(mask).mean(axis=0) for name, mask in true.masks.items()}
    assert middle["liver"][0] > middle["spleen"][0]
    assert middle["right_kidney"][0] > middle["left_kidney"][0]
    assert sum(mask.astype(int) for mask in true.masks.values()).max() == 1, "organs overlap"
