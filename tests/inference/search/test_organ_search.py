import pytest
import torch

from segment.inference.best_class import best_class
from segment.inference.search.organ_search import FEW, search_organs
from segment.inference.sliding_window import SlidingWindow

INFERER = SlidingWindow((16, 16, 16), 4)
SIZE = (48, 40, 64)
ONE, TWO = 5.0, 10.0  # intensities of the two organs; the patient has 2, air has 0


class Bands:
    """Finds organs by the absolute value of every voxel, and counts the windows."""

    def __init__(self):
        self.windows = 0

    def __call__(self, image):
        self.windows += len(image)
        size = image.abs()
        levels = [torch.full_like(size, 3.0), 4 - (size - ONE - 0.5).abs() / 2, 4 - (size - TWO).abs() / 2]
        return 10 * torch.cat(levels, dim=1)


def patient(*organs):
    """A volume with boxes of given intensities in a patient."""
    image = torch.zeros(1, 1, *SIZE)
    image[:, :, 4:44, 4:36, :] = 2
    for intensity, box in organs:
        image[(0, 0, *box)] = intensity
    return image


def box(i, j, k):
    return slice(*i), slice(*j), slice(*k)


def textured(intensity, shape):
    """Voxels of both signs, whose mean over 2³ voxels is 0: nothing is left at half the resolution."""
    index = sum(torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij"))
    return intensity * (1 - 2.0 * (index % 2))


def run(image, inferer=INFERER):
    """Mask of the whole volume and what was run, after a check of the number of windows."""
    net = Bands()
    region, search = search_organs(inferer, net, image)
    assert search.all_windows == inferer.windows(image.shape[2:])
    assert net.windows == search.windows + search.coarse_windows
    mask = torch.zeros(image.shape[2:], dtype=torch.uint8)
    inside = tuple(slice(s, s + n) for s, n in zip(region.start, region.logits.shape[1:], strict=True))
    mask[inside] = best_class(region.logits)
    return mask, search


def full(image, inferer=INFERER):
    return best_class(inferer(Bands(), image)[0])


SMALL = (ONE, box((8, 20), (6, 18), (4, 16)))
OTHER = (TWO, box((28, 40), (20, 32), (6, 18)))


def test_few_windows_give_the_mask_of_all_windows():
    image = patient(SMALL, OTHER)
    mask, search = run(image)
    assert torch.equal(mask, full(image))
    assert search.doubtful == []
    assert search.windows < search.all_windows / 2


def test_an_organ_is_followed_to_where_the_coarse_pass_did_not_see_it():
    long = box((8, 20), (6, 18), (4, 60))
    image = patient((ONE, long), OTHER)
    hidden = box((8, 20), (6, 18), (32, 60))
    image[(0, 0, *hidden)] = textured(ONE, (12, 12, 28))
    mask, search = run(image)
    assert search.doubtful == []
    assert search.windows < search.all_windows
    assert torch.equal(mask, full(image))
    assert (mask[hidden] == 1).all()


@pytest.mark.parametrize("seen", ["nothing", "little"])
def test_all_windows_are_run_if_the_coarse_pass_does_not_see_an_organ(seen):
    hidden = box((28, 40), (20, 32), (40, 60))
    image = patient(SMALL)
    image[(0, 0, *hidden)] = textured(TWO, (12, 12, 20))
    if seen == "little":  # something small elsewhere looks like the organ
        image[0, 0, 8:12, 24:28, 20:24] = TWO
    mask, search = run(image)
    assert search.doubtful == [2]
    assert torch.equal(mask, full(image))
    assert (mask[hidden] == 2).all()


def test_an_absent_organ_is_searched_everywhere_but_in_air():
    image = patient(SMALL)
    image[..., 30:] = 0
    mask, search = run(image)
    assert search.doubtful == [2]
    assert search.windows < search.all_windows
    assert torch.equal(mask, full(image))


def test_a_volume_of_air_has_no_organ():
    mask, search = run(torch.zeros(1, 1, *SIZE))
    assert not mask.any()
    assert (search.windows, search.doubtful) == (0, [1, 2])


@pytest.mark.parametrize("size", [(9, 12, 10), (16, 16, 16), (9, 24, 17), (30, 12, 40)])
def test_small_volumes_of_any_size(size):
    image = torch.full((1, 1, *size), 2.0)
    image[0, 0, 2:8, 3:9, 2:7] = ONE
    image[0, 0, 2:8, 9:12, 2:7] = TWO
    image[0, 0, 0] = 0
    mask, search = run(image, SlidingWindow((16, 16, 16), 4))
    assert torch.equal(mask, full(image))
    assert (search.coarse_windows == 0) == (search.all_windows <= FEW)


def test_organs_at_the_border_of_the_volume():
    image = patient((ONE, box((0, 12), (0, 12), (52, 64))), (TWO, box((36, 48), (28, 40), (0, 12))))
    mask, search = run(image)
    assert search.doubtful == []
    assert torch.equal(mask, full(image))


def test_windows_in_batches_give_the_same_mask():
    image = patient(SMALL, OTHER)
    mask, _ = run(image, SlidingWindow((16, 16, 16), 4, batch_size=3))
    assert torch.equal(mask, full(image))
