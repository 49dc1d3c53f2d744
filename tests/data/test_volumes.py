import numpy as np
import pytest
import torch
from small_ct import ORGANS, write_case

from segment.data.volumes import ScanDataset, VolumeDataset
from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.io.read import read_ct


def test_whole_volumes(volumes):
    dataset = VolumeDataset(volumes)
    assert len(dataset) == len(volumes)
    for number, volume in enumerate(volumes):
        subject = dataset[number]
        assert (subject["image"].data.dtype, subject["label"].data.dtype) == (torch.float32, torch.uint8)
        assert np.array_equal(subject["image"].data[0].numpy(), volume.image[:].astype(np.float32))
        assert np.array_equal(subject["label"].data[0].numpy(), volume.label[:])


def test_scans_on_their_own_grids(cases):
    dataset = ScanDataset(cases, ORGANS)
    assert len(dataset) == len(cases)
    labelled = dataset[1]
    assert labelled.id == cases[1].id
    assert np.array_equal(labelled.scan.data, read_ct(cases[1].image).data)
    assert np.allclose(labelled.scan.affine[:3, :3], np.diag([2, 2, 3]))
    assert labelled.reference.shape == (24, 20, 16)
    assert labelled.reference.dtype == np.uint8
    assert labelled.reference[:12].max() == 2  # spleen on the left
    assert labelled.reference[12:].max() == 1  # liver on the right


def test_a_label_on_another_grid_is_refused(cases, tmp_path):
    _, label = write_case(tmp_path, "x", spacing_mm=(2, 2, 2))
    case = Case("x", "x", cases[0].image, LabelFile(label, cases[0].label.codes))
    with pytest.raises(UserError, match="is up to"):
        ScanDataset([case], ORGANS)[0]
