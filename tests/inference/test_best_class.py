import pytest
import torch

from segment.inference import best_class as module
from segment.inference.best_class import best_class


@pytest.mark.parametrize("shape", [(3, 7, 6, 5), (1, 4, 4, 4), (5, 1, 1, 1), (4, 0, 3, 3), (4, 3, 0, 3)])
def test_slab_by_slab_the_class_is_that_of_argmax(monkeypatch, shape):
    monkeypatch.setattr(module, "_SLAB_VOXELS", 60)  # two planes of the first shape
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(0, 4, shape, generator=generator).float()  # many are equal
    assert torch.equal(best_class(logits), logits.argmax(dim=0).to(torch.uint8))
