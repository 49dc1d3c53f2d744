import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segment.phantom.from_labels.fields import LEVELS, sample_deformation, smooth_field

SHAPE, SPACING_MM = (30, 26, 28), np.array([12.0, 12.0, 12.0])


def jacobian(positions):
    """Determinants of the Jacobian, from differences of neighbours."""
    parts = [np.gradient(position, *SPACING_MM) for position in positions]
    return np.linalg.det(np.stack([np.stack(part, -1) for part in parts], -2))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), strength=st.floats(0, 1))
def test_a_deformation_never_folds_or_mirrors(seed, strength):
    deformation = sample_deformation(np.random.default_rng(seed), strength)
    positions = deformation.positions_mm(SHAPE, SPACING_MM)
    determinants = jacobian(positions)
    assert determinants.min() > 0.1
    assert determinants.max() < 4.5
    # On every line from left to right, the positions run from left to right: no organ changes its side.
    assert (np.diff(positions[0], axis=0) > 0).all()
    assert (np.diff(positions[2], axis=2) > 0).all()


def test_strength_0_keeps_the_body():
    positions = sample_deformation(np.random.default_rng(1), 0).positions_mm((5, 4, 3), np.array([2.0, 3.0, 4.0]))
    assert positions[0][:, 0, 0].tolist() == [-4, -2, 0, 2, 4]
    assert positions[1][0, :, 0].tolist() == [-4.5, -1.5, 1.5, 4.5]
    assert positions[2][0, 0, :].tolist() == [-4, 0, 4]


def test_the_levels_satisfy_the_condition_against_folding():
    assert sum(most_mm / cell_mm for cell_mm, most_mm in LEVELS) < 0.403


@pytest.mark.parametrize("cell_mm", [5, 40, 500])
def test_a_field_is_bounded_and_belongs_to_positions_and_not_to_voxels(cell_mm):
    coarse, fine = (
        smooth_field(shape, np.array(spacing), cell_mm, np.random.default_rng(0))
        for shape, spacing in (((10, 9, 8), (4.0, 4.0, 4.0)), ((19, 17, 15), (2.0, 2.0, 2.0)))
    )
    assert np.abs(fine).max() <= 1
    np.testing.assert_allclose(fine[::2, ::2, ::2], coarse, atol=1e-5)
