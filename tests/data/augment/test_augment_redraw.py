import numpy as np
import pytest
import torch
import torchio as tio
from augment_subjects import subject
from small_ct import transform

from segment.data.augment import RandomLeftRightFlip, RandomSpatial, RedrawContrast
from segment.data.augment.subjects import needs_tissue
from segment.errors import UserError
from segment.phantom.render import Scanners, render
from segment.phantom.tissues import CODES
from segment.preprocess.normalize import Standardize, WindowHU

SPACING_MM = (2.0, 3.0, 4.0)


def with_tissue(size=(20, 18, 16), seed=0):
    """A subject of which every class has its own tissue."""
    rng = np.random.default_rng(seed)
    label = torch.from_numpy(rng.integers(0, 3, (1, *size)).astype(np.uint8))
    codes = torch.tensor([CODES["muscle"], CODES["liver"], CODES["spleen"]], dtype=torch.uint8)[label.int()]
    sample = subject(torch.zeros(1, *size), label, SPACING_MM)
    sample.add_image(tio.LabelMap(tensor=codes, affine=sample.label.affine), "tissue")
    return sample


def redraw(p=1.0, preprocess=None, **options):
    return RedrawContrast(preprocess or transform(), p, **options)


def test_the_image_is_drawn_and_preprocessed():
    before = with_tissue()
    torch.manual_seed(7)
    after = redraw()(before)
    torch.manual_seed(7)
    torch.rand(1)  # decides whether the transform is applied
    rng = np.random.default_rng(int(torch.randint(2**63 - 1, ())))
    hu = render(before["tissue"].data[0].numpy(), SPACING_MM, rng)
    expected = (np.clip((hu + 160) / 400, 0, 1) - 0.4) / 0.3
    assert np.allclose(after.image.data[0], expected, atol=1e-6)
    assert after.image.data.dtype == torch.float32
    assert np.allclose(after.image.spacing, SPACING_MM)
    assert torch.equal(after.label.data, before.label.data)
    assert not before.image.data.any()


def test_options_reach_the_scanner():
    chosen = {"kernel_mm": [0.1, 0.2], "slice_mm": [1, 2], "noise_hu": [1, 2], "texture": [0, 1], "shading_hu": [0, 1]}
    assert redraw(**chosen).scanners == Scanners((0.1, 0.2), (1, 2), (1, 2), (0, 1), (0, 1))
    assert redraw().scanners == Scanners()


def test_a_subject_without_tissues_keeps_its_image():
    before = with_tissue()
    before.remove_image("tissue")
    assert redraw()(before) is before


def test_probability_and_torch_s_seed():
    def images(p, seed):
        torch.manual_seed(seed)
        return [redraw(p)(with_tissue((4, 4, 4))).image.data for _ in range(40)]

    first, again, other = images(0.5, 3), images(0.5, 3), images(0.5, 4)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    drawn = [image for image in first if image.any()]
    assert 10 < len(drawn) < 30
    assert len({float(image.mean()) for image in drawn}) == len(drawn)


def test_tissues_move_with_the_label():
    before = with_tissue()
    for augment in (
        RandomSpatial(degrees=30, scale=0.3, shift=0.1, elastic_mm=10),
        RandomLeftRightFlip(["liver", "spleen"], [], p=1),
    ):
        torch.manual_seed(0)
        after = tio.Compose([augment, redraw()])(before)
        assert not torch.equal(after.label.data, before.label.data)
        for index, name in enumerate(("muscle", "liver", "spleen")):
            assert torch.equal(after["tissue"].data == CODES[name], after.label.data == index)


def test_only_intensity_steps_of_the_preprocessing_are_applied():
    nested = tio.Compose(
        [tio.ToCanonical(), tio.CropOrPad(5), tio.Compose([WindowHU([-100, 100])]), tio.Blur(0.5, p=0)]
    )
    image = redraw(preprocess=nested)(with_tissue()).image.data
    assert image.shape == (1, 20, 18, 16)
    assert 0 <= image.min() < image.max() <= 1
    assert redraw(preprocess=WindowHU([-100, 100]))(with_tissue()).image.data.max() <= 1
    assert redraw(preprocess=tio.ToCanonical())(with_tissue()).image.data.max() > 10


@pytest.mark.parametrize("step", [tio.ZNormalization(), tio.RescaleIntensity((0, 1))])
def test_preprocessing_that_depends_on_the_whole_ct_is_refused(step):
    name = type(step).__name__
    with pytest.raises(
        UserError, match=rf"{name} computes intensities from a whole CT, so patches cannot be synthesised; ch"
    ):
        redraw(preprocess=tio.Compose([tio.ToCanonical(), step, Standardize(0, 1)]))


def test_building_it_does_not_change_the_random_state():
    torch.manual_seed(2)
    expected = torch.rand(2)
    torch.manual_seed(2)
    redraw()
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("change", [{"noise_hu": [0, 1]}, {"kernel_mm": [2, 1]}, {"p": 1.5}, {"slice_mm": [-1, 1]}])
def test_options_out_of_range_are_refused(change):
    with pytest.raises(UserError, match=f"{next(iter(change))} must be"):
        redraw(**change)


def test_transforms_that_need_tissues_are_found_in_others():
    for augment in (
        redraw(),
        tio.Compose([redraw()]),
        tio.OneOf({redraw(): 1.0}),
        tio.Compose([tio.Compose([redraw()])]),
    ):
        assert needs_tissue(augment)
    for augment in (None, transform(), tio.OneOf([WindowHU([0, 1])]), lambda subject: subject):
        assert not needs_tissue(augment)
