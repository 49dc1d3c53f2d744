import importlib
import inspect
import linecache
import sys
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
import torchio as tio
from small_ct import CODES, ORGANS, all_48, write_case, write_tissues

from segment.data.augment import RandomGamma, RandomLowResolution, RandomSpatial
from segment.data.store import fingerprint as module
from segment.data.store.fingerprint import fingerprint, identity, voxel_hash
from segment.datasets.sources.folder import Folder
from segment.errors import UserError
from segment.preprocess.normalize import Standardize, WindowHU
from segment.preprocess.resample import Resample


@pytest.fixture
def case(tmp_path):
    write_case(tmp_path, "a")
    return Folder(tmp_path, CODES).cases("set")[0]


def key(case, transform=None, organs=ORGANS):
    return fingerprint(identity(case, tio.Compose([]) if transform is None else transform, organs))


def relabelled(case, **changes):
    return replace(case, label=replace(case.label, **changes))


def test_names_and_folders_of_files_do_not_count(case, tmp_path):
    for path in (case.image, case.label.path):
        (tmp_path / f"b.1.{path.parent.name}.nii.gz").write_bytes(path.read_bytes())
    other = relabelled(
        replace(case, id="x/y", patient="p", image=tmp_path / "b.1.images.nii.gz"),
        path=tmp_path / "b.1.labels.nii.gz",
    )
    assert key(other) == key(case)


@pytest.mark.parametrize("kind", ["image", "label"])
def test_the_content_of_files_counts(case, kind):
    path, before = {"image": case.image, "label": case.label.path}[kind], key(case)
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    assert key(case) != before
    path.write_bytes(content)
    assert key(case) == before


def test_the_tissue_map_counts(case):
    with_map = replace(case, tissues=write_tissues(case.image.parents[1], "a"))
    before = key(with_map)
    assert before != key(case)
    with_map.tissues.write_bytes(case.label.path.read_bytes())
    assert key(with_map) not in (before, key(case))


def test_swapped_image_and_label_count(case):
    assert key(replace(relabelled(case, path=case.image), image=case.label.path)) != key(case)


def test_the_format_counts(case, tmp_path):
    (tmp_path / "a.nii").write_bytes(case.image.read_bytes())
    assert key(replace(case, image=tmp_path / "a.nii")) != key(case)


def test_the_meaning_of_codes_and_the_order_of_organs_count(case):
    keys = {
        key(case),
        key(case, organs=ORGANS[::-1]),
        key(case, organs=ORGANS[:1]),
        key(relabelled(case, codes={"liver": 2, "spleen": 5, "other": [7, 9]})),
        key(relabelled(case, codes={"liver": 5, "spleen": 2, "other": [7]})),
    }
    assert len(keys) == 5


def test_versions_count(case, monkeypatch):
    keys = {key(case)}
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    keys.add(key(case))
    monkeypatch.setattr(tio, "__version__", "1.99")
    keys.add(key(case))
    assert len(keys) == 3


def test_an_unreadable_file_is_named(case):
    case.label.path.unlink()
    case.label.path.symlink_to("nowhere")
    with pytest.raises(UserError, match=r"cannot read .*labels/a\.nii\.gz: No such file or directory; check the file"):
        key(case)


OURS = {
    Resample: [{"spacing_mm": [1, 2, 3]}, {"spacing_mm": [1, 2, 4]}, {"size": [1, 2, 3]}, {"size": [1, 2, 4]}],
    WindowHU: [{"window_hu": [0, 1]}, {"window_hu": [0, 2]}, {"window_hu": [-1, 1]}],
    Standardize: [{"mean": 0, "std": 1}, {"mean": 0.5, "std": 1}, {"mean": 0, "std": 2}],
    RandomSpatial: [
        {"degrees": 1, "scale": 0.1} | change
        for change in (
            *({}, {"degrees": 2}, {"scale": 0.2}, {"shift": 0.2}, {"elastic_mm": 2}, {"grid_mm": 50}),
            *({"p": 0.6}, {"p_rotate": 0.5}, {"p_scale": 0.5}, {"p_elastic": 0.5}),
        )
    ],
    RandomGamma: [
        {"gamma": [0.7, 1.5], "inverted": False, "p": 0.1} | change
        for change in ({}, {"gamma": [0.7, 1.4]}, {"inverted": True}, {"p": 0.2})
    ],
    RandomLowResolution: [
        {"scale": [0.5, 1], "p": 0.1} | change for change in ({}, {"scale": [0.4, 1]}, {"axes": [2]}, {"p": 0.2})
    ],
}


@pytest.mark.parametrize("transform_class", OURS)
def test_every_argument_of_our_transforms_counts(case, transform_class):
    variants = OURS[transform_class]
    assert {name for variant in variants for name in variant} == set(inspect.signature(transform_class).parameters)
    built = [transform_class(**variant) for variant in variants]
    assert len({key(case, tio.Compose([t])) for t in built}) == len(variants)
    assert key(case, transform_class(**variants[0])) == key(case, built[0])


def test_every_argument_of_transforms_of_torchio_counts(case):
    different = [
        tio.Compose([]),
        tio.Compose([tio.ToCanonical()]),
        tio.Compose([tio.ToCanonical(), tio.ToCanonical()]),
        tio.Compose([tio.ToCanonical(p=0.5)]),
        tio.Compose([tio.ToCanonical(keep={"image": "old"})]),
        tio.Compose([tio.Compose([tio.Crop(1)])]),
        tio.Compose([tio.Compose([tio.Crop(2)])]),
        tio.Mask("label"),
        tio.Mask("label", outside_value=-1000),
        tio.EnsureShapeMultiple(4),
        tio.EnsureShapeMultiple(8),
        tio.EnsureShapeMultiple(8, method="crop"),
        tio.OneOf([tio.Crop(1), tio.Pad(1)]),
        tio.OneOf([tio.Crop(1), tio.Pad(2)]),
        tio.HistogramStandardization({"image": np.linspace(0, 1, 13)}),
        tio.HistogramStandardization({"image": np.linspace(0, 2, 13)}),
        tio.ZNormalization(),
        tio.ZNormalization(masking_method=tio.ZNormalization.mean),
        tio.CropOrPad((4, 5, 6)),
        tio.CropOrPad((4, 5, 7)),
        tio.To(torch.float16),
        tio.To(torch.float32),
        tio.Lambda(torch.abs),
        tio.Lambda(torch.square),
    ]
    assert len({key(case, t) for t in different}) == len(different)


@pytest.mark.parametrize("unknown", [lambda x: x, object()])
def test_an_indistinguishable_setting_is_refused(case, unknown):
    with pytest.raises(
        UserError, match=r"preprocessing holds <.*>, which cannot be distinguished from another; use a function"
    ):
        key(case, tio.Compose([tio.Lambda(lambda x: x) if callable(unknown) else tio.To(unknown)]))


def test_the_voxel_hash_does_not_depend_on_orientation_and_type():
    hu = np.random.default_rng(0).integers(-1024, 3000, (5, 6, 7)).astype(np.int16)
    hashes = set()
    for order, signs in all_48():
        stored = nib.orientations.apply_orientation(hu, np.array(list(zip(order, signs, strict=True))))
        hashes |= {voxel_hash(stored), voxel_hash(stored.astype(np.float32)), voxel_hash(np.asfortranarray(stored))}
    assert len(hashes) == 1


def test_every_voxel_counts():
    hu = np.zeros((3, 4, 5), np.int16)
    hashes = {voxel_hash(hu), voxel_hash(hu.reshape(3, 2, 10)), voxel_hash(np.zeros((3, 4, 6), np.int16))}
    for value in (1, -32768, 32767):
        hu[1, 2, 3] = value
        hashes.add(voxel_hash(hu))
    assert len(hashes) == 6


def test_both_zeros_have_the_same_hash():
    assert voxel_hash(np.array([[[0.0, -0.0, 0.5]]], np.float32)) == voxel_hash(
        np.array([[[-0.0, 0.0, 0.5]]], np.float32)
    )


@pytest.mark.parametrize(
    "changed", ["LOW = {}", "def helper():\n    return {}", "class Base(Transform):\n    x = {}", ""]
)
def test_the_code_of_a_user_s_transform_counts(case, tmp_path, monkeypatch, changed):
    """That is its own, its helpers', constants' and base class's, also in another module."""
    keys = []
    monkeypatch.syspath_prepend(str(tmp_path))
    own = "\n\nclass Own(Base):\n    def apply_transform(self, subject):\n        return {}\n"
    for number in (1, 2, 1):
        base = "class Base(Transform):\n    x = 0" if "Base" not in changed else changed.format(number)
        (tmp_path / "base.py").write_text(f"from torchio import Transform\n\n{base}\n")
        constant = changed.format(number) if "Base" not in changed else ""
        body = own.format(0 if changed else number)
        (tmp_path / "mine.py").write_text(f"from base import Base\n\n{constant}\n{body}")
        linecache.clearcache()
        for name in ("mine", "base"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        keys.append(key(case, importlib.import_module("mine").Own()))
    assert keys[0] == keys[2] != keys[1]


def test_a_bound_method_is_refused(case):
    with pytest.raises(UserError, match="cannot be distinguished from another"):
        key(case, tio.ZNormalization(masking_method=Threshold(1).above))


class Threshold:
    def __init__(self, value):
        self.value = value

    def above(self, data):
        return data > self.value
