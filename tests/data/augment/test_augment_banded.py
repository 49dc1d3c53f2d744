import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segment.data.augment.banded import apply_banded


def banded(size, width, seed):
    """A random matrix with weights within `width` of the diagonal, and one full row."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(size, size))
    matrix[np.abs(np.subtract.outer(np.arange(size), np.arange(size))) > width] = 0
    matrix[size // 2] = rng.normal(size=size)
    return matrix


@settings(deadline=None, max_examples=40)
@given(size=st.tuples(*[st.integers(1, 80)] * 3), width=st.integers(0, 40), seed=st.integers(0, 99))
def test_banded_products_equal_full_products(size, width, seed):
    matrices = [banded(n, width, seed + axis) for axis, n in enumerate(size)]
    volume = np.random.default_rng(seed).normal(size=(2, *size))
    expected = np.einsum("ai,bj,dk,cijk->cabd", *matrices, volume, optimize=True)
    found = apply_banded(torch.from_numpy(volume).float(), [torch.from_numpy(m).float() for m in matrices])
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_the_input_is_not_changed_and_may_be_strided(monkeypatch):
    monkeypatch.setattr("segment.data.augment.warp.SLAB_VOXELS", 100)  # one slice per slab
    whole = torch.rand(1, 12, 11, 20)
    same, half = whole.clone(), whole[..., ::2]
    identity = [torch.eye(n) for n in half.shape[1:]]
    assert torch.equal(apply_banded(half, identity), half)
    assert torch.equal(whole, same)
    shift = torch.eye(12).roll(1, 0)
    assert torch.equal(apply_banded(half, [shift, *identity[1:]]), half.roll(1, 1))


@pytest.mark.parametrize("weight", [1e-3, 1e-6])
def test_small_weights_far_from_the_diagonal_are_applied(weight):
    matrix = torch.eye(70)
    matrix[3, 60] = weight
    line = torch.arange(70, dtype=torch.float32).reshape(1, 70, 1, 1)
    result = apply_banded(line, [matrix, torch.eye(1), torch.eye(1)])
    assert float(result[0, 3, 0, 0]) == pytest.approx(3 + 60 * weight, rel=1e-6)
