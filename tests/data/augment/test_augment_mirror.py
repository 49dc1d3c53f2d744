import copy

import numpy as np
import pytest
import torch
import torchio as tio
from augment_subjects import subject
from hypothesis import given
from hypothesis import strategies as st

from segment.data.augment import RandomLeftRightFlip
from segment.data.augment.mirror import check_mirroring
from segment.errors import UserError
from segment.runtime.seeding import random_state

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]
PAIRS = [["right_kidney", "left_kidney"]]


def labelled(size=(7, 6, 5), seed=0):
    rng = np.random.default_rng(seed)
    label = torch.from_numpy(rng.integers(0, 5, (1, *size)).astype(np.uint8))
    return subject(torch.from_numpy(rng.normal(size=(1, *size)).astype(np.float32)), label)


def flipped(before, organs=ORGANS, pairs=PAIRS):
    return RandomLeftRightFlip(organs, pairs, p=1)(before)


def test_the_right_kidney_becomes_the_left_kidney():
    label = torch.zeros(1, 10, 4, 4, dtype=torch.uint8)
    # In RAS+ the first axis points to the patient's right.
    label[:, 1:3] = 3
    label[:, 7:9, 2:] = 2
    after = flipped(subject(label.float(), label)).label.data
    assert after[0, :, 3, 3].tolist() == [0, 3, 3, 0, 0, 0, 0, 2, 2, 0]
    assert after[0, :, 0, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, 2, 2, 0]


def test_the_image_is_mirrored_along_the_first_axis_only():
    before = labelled()
    after = flipped(before)
    assert torch.equal(after.image.data, before.image.data.flip(1))
    swapped = {0: 0, 1: 1, 2: 3, 3: 2, 4: 4}
    expected = np.vectorize(swapped.get)(before.label.data.numpy()[:, ::-1])
    assert np.array_equal(after.label.data, expected)
    assert after.label.data.dtype == torch.uint8


@given(seed=st.integers(0, 99))
def test_mirroring_twice_changes_nothing(seed):
    before = labelled(seed=seed)
    after = flipped(flipped(before))
    assert torch.equal(after.image.data, before.image.data)
    assert torch.equal(after.label.data, before.label.data)


def test_the_input_is_not_changed():
    before, same = labelled(), labelled()
    flipped(before)
    assert torch.equal(before.image.data, same.image.data)
    assert torch.equal(before.label.data, same.label.data)


def test_annotated_is_swapped_as_well():
    before = labelled()
    before["annotated"] = torch.tensor([True, True, True, False, False])
    after = flipped(before)
    assert after["annotated"].tolist() == [True, True, False, True, False]
    assert before["annotated"].tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 40])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_any_number_of_pairs_is_swapped(count, dtype):
    sides = [(f"right_{number}", f"left_{number}") for number in range(count)]
    organs = ["liver", *(right for right, _ in sides), *(left for _, left in sides)]
    label = torch.from_numpy(np.random.default_rng(0).choice([*range(2 * count + 2), 255], (1, 9, 8, 7))).to(dtype)
    swapped = [0, 1, *range(count + 2, 2 * count + 2), *range(2, count + 2), *range(2 * count + 2, 256)]
    after = flipped(subject(torch.rand(label.shape), label), organs, sides).label.data
    assert torch.equal(after, torch.tensor(swapped)[label.flip(1).long()].to(dtype))


def test_values_that_are_not_a_class_are_kept():
    label = torch.full((1, 4, 4, 4), 255, dtype=torch.uint8)
    assert (flipped(subject(label.float(), label)).label.data == 255).all()


def test_probability_and_torch_s_seed():
    before, transform = labelled(), RandomLeftRightFlip(ORGANS, PAIRS, p=0.3)
    happened = []
    for seed in range(400):
        with random_state(seed):
            happened.append(not torch.equal(transform(before).image.data, before.image.data))
    assert np.mean(happened) == pytest.approx(0.3, abs=0.07)
    assert RandomLeftRightFlip(ORGANS, PAIRS, p=0)(before) is before


def test_unused_pairs_and_the_order_of_names_do_not_matter():
    pairs = [["left_kidney", "right_kidney"], ["left_adrenal", "right_adrenal"]]
    before = labelled()
    assert torch.equal(flipped(before, pairs=pairs).label.data, flipped(before).label.data)
    spleen_only = subject(before.image.data, (before.label.data == 1).to(torch.uint8))
    assert torch.equal(flipped(spleen_only, ["spleen"], pairs).label.data, spleen_only.label.data.flip(1))


@pytest.mark.parametrize(
    ("organs", "pairs", "message"),
    [
        (["liver", "right_kidney"], PAIRS, "right_kidney is paired with left_kidney, which is not among the organs"),
        (ORGANS, [], "right_kidney has a side but no pair.*; add its pair to pairs"),
        (["Left Lung"], PAIRS, "Left Lung has a side but no pair"),
        (["liver", "kidney_r", "kidney_l"], PAIRS, "kidney_r has a side but no pair"),
        (["liver", "RK", "LK"], PAIRS, "RK has a side but no pair"),
        (
            ["liver", "RK"],
            PAIRS,
            "RK may lie on one side, .* to pairs of RandomLeftRightFlip, otherwise to single",
        ),
        (ORGANS, [["right_kidney"]], r"\['right_kidney'\] is not a pair for mirroring; give two different names"),
        (ORGANS, [["spleen", "spleen"]], "is not a pair"),
        (ORGANS, [*PAIRS, ["left_kidney", "spleen"]], r"\['left_kidney', 'spleen'\] is not a pair"),
    ],
)
def test_wrong_pairs_are_refused(organs, pairs, message):
    with pytest.raises(UserError, match=message):
        RandomLeftRightFlip(organs, pairs)


def test_organs_whose_names_say_nothing_are_stated():
    organs = ["hígado", "ren_a", "ren_b"]
    swapped = RandomLeftRightFlip(organs, [["ren_a", "ren_b"]], p=1, single=["hígado"]).swapped
    assert swapped == [0, 1, 3, 2]


def test_the_history_of_applied_transforms_is_kept():
    once = flipped(labelled())
    twice = flipped(once)
    assert [len(subject.applied_transforms) for subject in (once, twice)] == [1, 2]
    assert np.array_equal(twice.label.affine, once.label.affine)


def test_codes_of_a_tissue_map_are_not_swapped():
    before = labelled()
    before.add_image(copy.deepcopy(before.label), "tissue")
    after = flipped(before)
    assert torch.equal(after["tissue"].data, before.label.data.flip(1))
    assert not torch.equal(after.label.data, after["tissue"].data)


@pytest.mark.parametrize("axes", [0, (1, 0), "LR", ("left",), "Right"])
@pytest.mark.parametrize("nest", [lambda flip: flip, lambda flip: tio.Compose([tio.OneOf({flip: 1.0})])])
def test_mirroring_that_does_not_swap_the_organs_is_refused(axes, nest):
    for flip in (tio.RandomFlip(axes=axes), tio.Flip(axes=axes)):
        message = "Flip mirrors left and right, but does not swap .* use segment.data.augment.RandomLeftRightFlip"
        with pytest.raises(UserError, match=message):
            check_mirroring(nest(flip))


def test_other_flips_are_accepted():
    allowed = [tio.RandomFlip(axes=(1, 2)), tio.Flip(axes="AP"), RandomLeftRightFlip(ORGANS, PAIRS)]
    check_mirroring(tio.Compose(allowed))
    check_mirroring(None)
