import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from segment.inference.window_sum import _grown


@pytest.mark.parametrize("shape", [(7, 6, 5), (1, 5, 2), (1, 1, 1)])
def test_a_mask_grows_by_the_neighbours_of_its_voxels(shape):
    for seed in range(5):
        mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.8
        before = mask.clone()
        assert torch.equal(_grown(mask), F.max_pool3d(mask.float()[None], 3, 1, 1)[0] > 0)
        assert torch.equal(mask, before)
