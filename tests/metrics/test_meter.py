import math
import random
import warnings

import pytest
import torch
import torch.multiprocessing as mp
from torch import distributed

from segment.metrics.meter import OrganMeter

ORGANS = ["heart", "bone"]


def values(meter):
    return {name: float(value) for name, value in meter.compute().items()}


def row(*classes):
    return torch.tensor(classes).reshape(1, 1, 1, -1)


def random_patients(count):
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 3, (2, 1, 1, 4, 5, 6), generator=generator) for _ in range(count)]


def test_one_patient_by_hand():
    meter = OrganMeter(ORGANS)
    meter.update(row(0, 1, 1, 2, 0, 0), row(0, 1, 0, 2, 2, 0))
    assert values(meter) == {
        "dice/heart": pytest.approx(2 / 3),
        "dice/bone": pytest.approx(2 / 3),
        "dice/mean": pytest.approx(2 / 3),
        "accuracy/heart": pytest.approx(5 / 6),
        "accuracy/bone": pytest.approx(5 / 6),
        "accuracy": pytest.approx(4 / 6),
    }


def test_scores_are_averaged_over_patients_not_over_voxels():
    meter = OrganMeter(ORGANS)
    meter.update(row(1, 1, 1, 1, 1, 1, 1, 1), row(1, 1, 1, 1, 1, 1, 1, 1))
    meter.update(row(1, 1, 0, 0, 0, 0, 0, 0), row(1, 0, 0, 0, 0, 0, 0, 0))
    # Pooled voxels would give 18/19.
    assert values(meter)["dice/heart"] == pytest.approx((1 + 2 / 3) / 2)


def test_patients_have_equal_weight_in_batches_of_different_size():
    patients = random_patients(3)
    one_by_one, batches = OrganMeter(ORGANS), OrganMeter(ORGANS)
    for pred, label in patients:
        one_by_one.update(pred, label)
    batches.update(torch.cat([p for p, _ in patients[:2]]), torch.cat([t for _, t in patients[:2]]))
    batches.update(*patients[2])
    assert values(batches) == values(one_by_one)
    alone = [OrganMeter(ORGANS), OrganMeter(ORGANS)]
    alone[0].update(torch.cat([p for p, _ in patients[:2]]), torch.cat([t for _, t in patients[:2]]))
    alone[1].update(*patients[2])
    mean_of_batches = sum(values(m)["dice/mean"] for m in alone) / 2
    assert values(batches)["dice/mean"] != pytest.approx(mean_of_batches, abs=1e-6)


def test_an_organ_in_only_one_mask_scores_0_and_in_neither_is_left_out():
    meter = OrganMeter(ORGANS)
    meter.update(row(1, 0, 0, 0), row(0, 0, 0, 0))  # false positive
    meter.update(row(0, 0, 0, 0), row(0, 0, 1, 1))  # false negative
    meter.update(row(0, 0, 0, 0), row(0, 0, 0, 0))  # no heart
    meter.update(row(0, 1, 0, 0), row(0, 1, 0, 0))  # true positive
    scores = values(meter)
    assert scores["dice/heart"] == pytest.approx(1 / 3)
    assert scores["accuracy/heart"] == pytest.approx((3 / 4 + 2 / 4 + 1) / 3)
    assert scores["accuracy"] == pytest.approx((3 / 4 + 2 / 4 + 1 + 1) / 4)
    assert math.isnan(scores["dice/bone"])
    assert math.isnan(scores["accuracy/bone"])
    assert scores["dice/mean"] == scores["dice/heart"]


def test_without_patients_all_scores_are_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = values(OrganMeter(ORGANS))
    assert scores
    assert all(math.isnan(value) for value in scores.values())


def test_reset_works_within_inference_mode():
    meter = OrganMeter(ORGANS)
    with torch.inference_mode():
        meter.update(row(1, 0), row(0, 1))
        meter.reset()
    meter.update(row(1, 2), row(1, 2))
    assert set(values(meter).values()) == {1.0}


def test_scores_do_not_depend_on_the_order_of_patients():
    patients = random_patients(50)
    meter, shuffled = OrganMeter(ORGANS), OrganMeter(ORGANS)
    for pred, label in patients:
        meter.update(pred, label)
    random.Random(0).shuffle(patients)
    for pred, label in patients:
        shuffled.update(pred, label)
    assert values(meter) == values(shuffled)


def test_with_and_without_channel_axis():
    pred, label = random_patients(1)[0]
    with_axis, without = OrganMeter(ORGANS), OrganMeter(ORGANS)
    with_axis.update(pred, label)
    without.update(pred[:, 0], label[:, 0].to(torch.uint8))
    assert values(with_axis) == values(without)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(1, 2, 2, 2\) and \(1, 1, 2, 2, 2\)"):
        OrganMeter(ORGANS).update(torch.zeros(1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2))


def test_a_large_organ_does_not_overflow():
    meter = OrganMeter(ORGANS)
    meter.update(torch.ones(1, 512, 512, 300, dtype=torch.uint8), torch.ones(1, 512, 512, 300, dtype=torch.uint8))
    assert values(meter)["dice/heart"] == 1.0


def share_of_patients(rank, file, results):
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    meter = OrganMeter(ORGANS)
    for pred, label in random_patients(7)[rank::2]:
        meter.update(pred, label)
    results[rank] = values(meter)
    distributed.destroy_process_group()


def test_two_processes_give_the_same_scores_as_one(tmp_path):
    alone = OrganMeter(ORGANS)
    for pred, label in random_patients(7):
        alone.update(pred, label)
    with mp.Manager() as manager:
        results = manager.dict()
        mp.spawn(share_of_patients, args=(tmp_path / "init", results), nprocs=2)
        assert dict(results) == {0: values(alone), 1: values(alone)}


def test_an_organ_that_is_not_annotated_has_no_score_and_counts_as_background():
    meter = OrganMeter(["heart", "bone"])
    pred = torch.tensor([[[[0, 1, 2, 2]]], [[[0, 1, 2, 0]]]])
    label = torch.tensor([[[[0, 1, 0, 0]]], [[[0, 1, 2, 2]]]])
    meter.update(pred, label, torch.tensor([[True, True, False], [True, True, True]]))
    means = meter.compute()
    assert float(means["dice/heart"]) == 1
    assert float(means["dice/bone"]) == pytest.approx(2 / 3)  # only the second patient counts
    assert float(means["accuracy"]) == pytest.approx((1 + 3 / 4) / 2)
