from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import torchio as tio
from hydra.utils import instantiate
from omegaconf import OmegaConf
from small_ct import all_48, transform

from segment.errors import UserError
from segment.io.read import read_ct, read_label
from segment.io.scan import Scan
from segment.preprocess import separable
from segment.preprocess.preprocess import preprocess

CONF = Path(__file__).parents[2] / "conf" / "preprocess"


def scan(data, affine=None):
    header = nib.Nifti1Header()
    return Scan(data, np.eye(4) if affine is None else affine, header, data.shape)


def noise(shape=(13, 11, 9)):
    return np.random.default_rng(0).integers(-300, 400, shape).astype(np.int16)


def configured(name, spacing_mm=(2, 2, 2)):
    node = OmegaConf.create({"spacing_mm": list(spacing_mm), "node": OmegaConf.load(CONF / f"{name}.yaml")})
    return instantiate(node.node, _convert_="all")


@pytest.mark.parametrize("oblique", [False, True])
def test_a_ct_in_48_orientations_gives_the_same_bits(tmp_path, oblique):
    affine = np.diag([0.7, 0.9, 2.3, 1])
    affine[:3, 3] = (-120.3, 77.7, -340.1)
    if oblique:
        affine[:3, :3] = np.array([[1, 0.1, 0], [-0.1, 1, 0.2], [0, -0.2, 1]]) @ affine[:3, :3]
    hu, label = noise((41, 37, 23)), (noise((41, 37, 23)) > 200).astype(np.uint8)
    results = []
    for order, signs in all_48():
        turn = np.array(list(zip(order, signs, strict=True)))
        volumes = []
        for data, read in ((hu, read_ct), (label, read_label)):
            stored = nib.orientations.apply_orientation(data, turn)
            path = tmp_path / f"{len(results)}_{len(volumes)}.nii"
            nib.save(nib.Nifti1Image(stored, affine @ nib.orientations.inv_ornt_aff(turn, hu.shape)), path)
            volumes.append(read(path))
        results.append(preprocess(transform((2, 2, 2)), volumes[0], volumes[1].data))
    assert results[0].image.shape == results[0].label.shape
    assert results[0].label.sum() > 100
    for result in results:
        assert torch.equal(result.image, results[0].image)
        assert torch.equal(result.label, results[0].label)
        assert np.allclose(result.affine, results[0].affine, atol=1e-4)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR", "ILA"])
def test_a_ct_without_label_is_read_in_slabs_and_gives_the_bits_of_training(monkeypatch, axes):
    monkeypatch.setattr(separable, "SLAB_VOXELS", 300)
    turn = nib.orientations.axcodes2ornt(tuple(axes))
    data = np.asfortranarray(nib.orientations.apply_orientation(noise(), turn))
    turned = scan(data, nib.orientations.inv_ornt_aff(turn, noise().shape))
    found = preprocess(transform(), turned)
    expected = preprocess(transform(), turned, np.zeros_like(data))
    assert torch.equal(found.image, expected.image)
    assert np.array_equal(found.affine, expected.affine)


@pytest.mark.parametrize("change", [lambda a: a.astype(">i2"), lambda a: a[::-1][::-1], np.asfortranarray, np.float32])
def test_byte_order_and_memory_order_do_not_matter(change):
    expected = preprocess(transform(), scan(noise()), noise() > 0)
    found = preprocess(transform(), scan(change(noise())), change(noise()) > 0)
    assert torch.equal(found.image, expected.image)
    assert torch.equal(found.label, expected.label)


def test_dtypes_and_rounding_to_half_precision():
    result = preprocess(transform(), scan(noise()), np.ones((13, 11, 9), np.uint8))
    assert (result.image.dtype, result.label.dtype, result.affine.dtype) == (torch.float32, torch.uint8, np.float64)
    assert torch.equal(result.image, result.image.half().float())
    assert result.image.shape == result.label.shape == (1, 4, 4, 3)
    assert np.allclose(result.affine[:3, :3], np.diag([13 / 4, 11 / 4, 3]))


def test_without_a_label_the_image_is_the_same():
    alone = preprocess(transform(), scan(noise()))
    assert alone.label is None
    assert torch.equal(alone.image, preprocess(transform(), scan(noise()), noise() > 0).image)


def test_labels_are_never_interpolated():
    label = np.zeros((13, 11, 9), np.uint8)
    label[6:] = 200
    result = preprocess(transform((0.7, 3.1, 1.3)), scan(noise()), label)
    assert result.label.unique().tolist() == [0, 200]


def test_preprocessing_is_a_pure_function_even_with_a_random_transform():
    random = tio.Compose([tio.RandomNoise(), tio.RandomFlip(flip_probability=0.5)])
    torch.manual_seed(1)
    first, expected = preprocess(random, scan(noise())).image, torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(preprocess(random, scan(noise())).image, first)


@pytest.mark.parametrize("value", [70000, -70000])
def test_intensities_beyond_half_precision_are_refused(value):
    with pytest.raises(
        UserError, match=r"intensities from \S+ to \S+, but only ±65504 can be stored; .*clip them to a window"
    ):
        preprocess(tio.ToCanonical(), scan(np.full((3, 3, 3), value, np.float32)))


def test_the_ct_recipe_on_known_values():
    # Window -160 … 240 HU, then mean 0.4 and deviation 0.3.
    for hu, expected in ((-1000, -4 / 3), (40, 1 / 3), (240, 2), (2000, 2)):
        result = preprocess(configured("ct"), scan(np.full((8, 8, 8), hu, np.int16)))
        assert result.image.shape == (1, 4, 4, 4)
        assert np.allclose(result.image, expected, atol=1e-3)


def test_the_seed_recipe():
    result = preprocess(configured("cube"), scan(noise()))
    assert result.image.shape == (1, 128, 128, 128)
    assert float(result.image.mean()) == pytest.approx(0, abs=1e-3)
    assert float(result.image.std()) == pytest.approx(1, abs=1e-3)


def test_a_transform_that_reorients_the_volume_is_refused():
    with pytest.raises(UserError, match="gives axes that point to SAR; keep their order and direction"):
        preprocess(tio.ToOrientation("SAR"), scan(np.zeros((3, 4, 5), np.int16)))


def test_a_ct_longer_than_any_scanner_is_refused():
    with pytest.raises(
        UserError,
        match=r"measures 1.3e\+04x1.1e\+04x9000 mm, in 13x11x9 voxels of 1000x1000x1000 mm, but no CT is longer",
    ):
        preprocess(configured("ct"), scan(noise(), np.diag([1000, 1000, 1000, 1.0])))
    preprocess(configured("ct", (20, 20, 20)), scan(noise(), np.diag([200, 200, 200, 1.0])))
