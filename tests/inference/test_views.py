from typing import get_args, get_type_hints

import pytest
import torch

from segment.configuration.schema import Evaluate, Predict
from segment.errors import UserError
from segment.inference.region import Region
from segment.inference.views import VIEWS, Mirrored, Moved, Scaled, augmentation_views

ORGANS = ["liver", "right_kidney", "left_kidney"]
SIZE = (40, 34, 29)


def volume():
    """Class of every voxel: a liver on the right, a kidney on each side; symmetric along no axis."""
    classes = torch.zeros(SIZE)
    classes[24:37, 4:15, 16:27] = 1
    classes[26:33, 18:25, 5:13] = 2
    classes[6:12, 17:24, 7:14] = 3
    return classes


def logits(classes):
    return 9 * torch.nn.functional.one_hot(classes.round().long(), 4).movedim(-1, 0).float()


def dice(one, two, index):
    a, b = one == index, two == index
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def in_volume(region, size):
    mask = torch.zeros(size, dtype=torch.long)
    box = tuple(slice(s, s + n) for s, n in zip(region.start, region.logits.shape[1:], strict=True))
    assert all(0 <= part.start < part.stop <= n for part, n in zip(box, size, strict=True))
    mask[box] = region.logits.argmax(dim=0)
    return mask


@pytest.mark.parametrize(
    "view", [Mirrored(ORGANS), Moved(5), Scaled(0.8), Scaled(1.25)], ids=lambda v: type(v).__name__
)
def test_what_is_found_in_a_view_is_put_back(view):
    classes = volume()
    found = torch.cat([view.show(one[None, None])[0] for one in logits(classes)])
    assert found.shape[1:] == view.size(SIZE)
    if isinstance(view, Mirrored):  # the network calls a kidney right by the side on which it sees it
        found = found[[0, 1, 3, 2]]
    for region in (Region(found, (0, 0, 0)), Region(found, (0, 0, 0)).trimmed()):
        mask = in_volume(view.undo(region, SIZE), SIZE)
        for index in (1, 2, 3):
            least = 0.8 if isinstance(view, Scaled) else 1.0
            assert dice(mask, classes, index) >= least, index


def test_scaling_shifts_nothing():
    """The logits of a ramp are those of the ramp again: half voxels at the ends are right."""
    ramp = torch.arange(40.0)[:, None, None].expand(40, 8, 8)
    for factor in (0.9, 1.1, 0.5):
        view = Scaled(factor)
        seen = view.show(ramp[None, None])[0]
        back = view.undo(Region(seen, (0, 0, 0)), ramp.shape)
        inner = slice(3, back.logits.shape[1] - 3)
        assert torch.allclose(back.logits[0, inner, 4, 4], torch.arange(back.start[0], 40.0)[inner], atol=0.02)


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1])
def test_an_organ_at_the_end_of_the_volume_keeps_its_last_plane(factor):
    """The centres of the outer voxels of a reduced view lie inside those of the volume."""
    view, seen = Scaled(factor), logits(torch.ones(Scaled(factor).size(SIZE)))
    region = view.undo(Region(seen, (0, 0, 0)), SIZE)
    assert region.start == (0, 0, 0)
    assert region.logits.shape == (4, *SIZE)
    inner = view.undo(Region(seen[:, 3:-3, 3:-3, 3:-3], (3, 3, 3)), SIZE)  # does not reach the end of the view
    assert min(inner.start) > 0
    assert all(start + n < whole for start, n, whole in zip(inner.start, inner.logits.shape[1:], SIZE, strict=True))


@pytest.mark.parametrize("view", [Mirrored(ORGANS), Moved(5), Scaled(0.9), Scaled(1.1)], ids=lambda v: type(v).__name__)
def test_a_region_of_one_voxel_stays_inside_of_the_volume(view):
    for size in ((7, 1, 3), SIZE):
        for corner in ((0, 0, 0), tuple(n - 1 for n in view.size(size))):
            region = view.undo(Region(torch.zeros(4, 1, 1, 1), corner), size)
            assert region.logits.shape == (4, 1, 1, 1)
            assert all(0 <= start < n for start, n in zip(region.start, size, strict=True))


def test_an_organ_without_its_partner_takes_no_probability_from_the_others_in_a_mirrored_view():
    found = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    probs = Mirrored(["liver", "left_kidney"]).undo(Region(found, (0, 0, 0)), (2, 2, 2)).logits.softmax(dim=0)
    assert (probs[2] == 0).all()
    assert torch.allclose(probs[:2], found[:2].flip(1).softmax(dim=0))


def test_views_have_names_and_one_order():
    assert [type(view) for view in augmentation_views(["scaled", "mirrored", "moved"], ORGANS)] == [
        *(Mirrored, Moved, Scaled, Scaled),
    ]
    assert [type(view) for view in augmentation_views(["scaled"], ["liver", "left_kidney"])] == [Scaled, Scaled]
    assert augmentation_views([], ORGANS) == []
    (hint,) = get_args(get_type_hints(Predict)["tta"])
    assert get_args(hint) == get_args(get_args(get_type_hints(Evaluate)["tta"])[0]) == tuple(VIEWS)


def test_what_cannot_be_viewed_is_refused():
    with pytest.raises(UserError, match=r"tta=\['turned'\] has 'turned'; choose among mirrored, moved, scaled"):
        augmentation_views(["turned"], ORGANS)
    with pytest.raises(UserError, match=r"cannot mirror left_kidney, because .* other side; leave out mirrored"):
        augmentation_views(["mirrored"], ["liver", "left_kidney"])
    with pytest.raises(UserError, match=r"cannot mirror RK, because neither its name nor .*; leave out mirrored"):
        augmentation_views(["mirrored"], ["liver", "RK", "spleen"])
    assert len(augmentation_views(["moved"], ["liver", "RK", "spleen"])) == 1


def test_the_training_may_state_what_names_do_not_say():
    stated = {"hígado": "hígado", "ren_a": "ren_b", "ren_b": "ren_a"}
    (view,) = augmentation_views(["mirrored"], ["hígado", "ren_a", "spleen", "ren_b"], stated)
    assert view.swapped == [0, 1, 4, 3, 2]
