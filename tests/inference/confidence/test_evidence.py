import numpy as np
import pytest
import torch

from segment.inference.confidence.evidence import gather_evidence
from segment.inference.region import Region


def test_sums_do_not_depend_on_slabs_and_follow_their_definitions():
    logits = torch.randn(3, 70, 5, 6, generator=torch.Generator().manual_seed(0)) * 2
    evidence = gather_evidence(Region(logits, (0, 0, 0)), np.diag([2.0, 3, 5, 1]), {})
    probs, mask = logits.softmax(dim=0).double().numpy(), logits.argmax(dim=0).numpy()
    assert evidence.voxel_ml == pytest.approx(0.03)
    for index in (1, 2):
        inside = mask == index
        other = probs[3 - index]
        assert evidence.voxels[index] == inside.sum()
        expected = 2 * probs[index][inside].sum() / (inside.sum() + probs[index].sum())
        assert evidence.expected_dice[index] == pytest.approx(expected, abs=1e-6)
        assert evidence.doubtful[index] == pytest.approx((probs[index][inside] < 0.9).mean(), abs=1e-6)
        assert evidence.other_organ[index] == pytest.approx(other[inside].mean(), abs=1e-6)


def test_an_absent_organ_has_no_numbers():
    logits = torch.zeros(2, 1, 1, 1)
    logits[0] = 10
    evidence = gather_evidence(Region(logits, (0, 0, 0)), np.eye(4), {})
    assert evidence.voxels[1] == 0
    assert np.isnan([evidence.expected_dice[1], evidence.doubtful[1], evidence.other_organ[1]]).all()
