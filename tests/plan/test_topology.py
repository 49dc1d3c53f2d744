import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.plan.topology import COVERED, cover_patch, make_topology, round_patch


def test_isotropic_voxels_are_halved_together_down_to_four_voxels():
    topology = make_topology((1.5, 1.5, 1.5), (128, 128, 128), stem_stride=1)
    assert topology.strides == ((2, 2, 2),) * 5
    assert topology.kernels == ((3, 3, 3),) * 6
    assert topology.multiple == (32, 32, 32)


def test_thick_slices_are_halved_later_and_less_often():
    topology = make_topology((0.8, 0.8, 5.0), (256, 256, 40), stem_stride=1)
    assert topology.strides[:2] == ((2, 2, 1), (2, 2, 1))
    assert topology.kernels[:3] == ((3, 3, 1), (3, 3, 1), (3, 3, 3))
    times = [axis.count(2) for axis in zip(*topology.strides, strict=True)]
    assert times == [5, 5, 3]


def test_the_first_convolution_keeps_thick_slices():
    assert make_topology((2.5, 2.5, 5.0), (80, 80, 40), stem_stride=2).stem == (2, 2, 1)
    assert make_topology((3.0, 3.0, 3.0), (80, 80, 80), stem_stride=2).stem == (2, 2, 2)


def test_a_short_axis_is_not_halved_below_four_voxels():
    topology = make_topology((1.5, 1.5, 1.5), (64, 64, 10), stem_stride=1)
    assert topology.multiple == (16, 16, 2)


@pytest.mark.parametrize(("wished", "patch"), [((100, 70, 2.9), (96, 64, 2)), ((5, 5, 5), (32, 32, 4))])
def test_a_patch_has_the_nearest_allowed_edges(wished, patch):
    assert round_patch(wished, (32, 32, 2)) == patch


edges = st.lists(st.floats(8, 200), min_size=3, max_size=3)
multiples = st.lists(st.sampled_from([1, 2, 8, 16, 32]), min_size=3, max_size=3)


@given(edges, multiples)
def test_a_covering_patch_is_hardly_larger_than_the_desired_one(wished, multiple):
    patch = cover_patch(wished, multiple)
    assert all(edge % m == 0 for edge, m in zip(patch, multiple, strict=True))
    assert math.prod(patch) >= COVERED * math.prod(wished)
    if all(edge > m for edge, m in zip(patch, multiple, strict=True)) and np.any(np.greater(patch, wished)):
        shorter = [math.prod(patch) / edge * (edge - m) for edge, m in zip(patch, multiple, strict=True)]
        assert min(shorter) < COVERED * math.prod(wished)  # the edge that grew last was needed
