import pytest
import torch

from segment.inference.search.window_grid import WindowGrid
from segment.inference.sliding_window import SlidingWindow

SIZE = (20, 8, 14)
INFERER = SlidingWindow((8, 8, 8), 2)


@pytest.fixture
def grid():
    return WindowGrid(INFERER, SIZE, torch.device("cpu"))


def whole(size):
    return tuple(slice(0, n) for n in size)


def test_a_share_is_the_part_of_a_window_in_the_mean_of_the_logits(grid):
    """A network that answers 1 in one window and 0 in the others gives the relative weight of that window."""
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[5:9, 3:5, 4:9] = True
    shares = grid.shares(mask, whole(SIZE))
    assert float(shares.sum()) == pytest.approx(1)
    image = torch.zeros(1, 1, *SIZE)
    for index in range(len(grid.corners)):
        calls = iter(range(len(grid.corners)))
        logits = INFERER(lambda x, calls=calls, index=index: torch.full_like(x, float(next(calls) == index)), image)
        assert float(shares[index]) == pytest.approx(float(logits[0, 0][mask].mean()), abs=0.01)


def test_a_mask_in_a_box_has_the_shares_of_the_whole_mask(grid):
    random = torch.rand(SIZE, generator=torch.Generator().manual_seed(0)) > 0.5
    box = (slice(3, 17), slice(1, 8), slice(2, 9))
    for part in (box, (slice(6, 12), slice(4, 6), slice(2, 7))):  # the second leaves a part of the box empty
        mask = torch.zeros_like(random)
        mask[part] = random[part]
        torch.testing.assert_close(grid.shares(mask[box], box), grid._shares(mask, grid.relative))


def test_shares_on_a_coarse_grid_are_nearly_those_of_the_fine_one():
    size = (80, 40, 56)
    grid = WindowGrid(SlidingWindow((32, 32, 32), 8), size, torch.device("cpu"))
    fine = torch.zeros(size, dtype=torch.bool)
    fine[16:48, 8:24, 16:32] = True
    coarse = fine[::2, ::2, ::2]
    torch.testing.assert_close(grid.coarse_shares(coarse), grid.shares(fine, whole(size)), atol=0.05, rtol=0)


def test_an_empty_mask_has_no_share(grid):
    shares = grid.shares(torch.zeros(SIZE, dtype=torch.bool), whole(SIZE))
    assert not shares.any()
    assert grid.above([shares], 0.0) == set()


def test_windows_above_a_share_of_any_organ(grid):
    one, two = torch.zeros(len(grid.corners)), torch.zeros(len(grid.corners))
    one[1], one[2], two[0] = 0.5, 0.1, 0.2
    assert grid.above([one, two], 0.1) == {grid.corners[1], grid.corners[0]}
