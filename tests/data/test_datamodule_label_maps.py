"""The real configuration: a data set beside synthetic CTs from its label maps."""

import labelled_body
import numpy as np
import pytest
from hydra.utils import instantiate
from run_commands import config

from segment.data.store.fingerprint import voxel_hash
from segment.errors import UserError
from segment.io.read import read_ct

CODES = "{liver: 1, right_kidney: 2, left_kidney: 3, spleen: 4, aorta: 5}"


def datamodule(root, *overrides, codes=CODES):
    cfg = config(
        "train",
        f"run_dir={root}",
        f"cache_dir={root}/cache",
        "spacing_mm=[8,8,8]",
        f"data.sources.folder.root={root}/set",
        f"data.sources.folder.label_codes={codes}",
        "data.sources.labelmaps.variants=2",
        "data.sources.labelmaps.spacing_mm=[7,7,7]",
        "data.num_workers=0",
        *overrides,
    )
    return instantiate(cfg.data, _convert_="all")


@pytest.mark.parametrize("order", ["folder,labelmaps", "labelmaps,folder"])
def test_it_just_works(tmp_path, order):
    labelled_body.write(tmp_path / "set", *"abcdef")
    data = datamodule(tmp_path, f"data=[{order}]", "data.sources.labelmaps.deformation=0.2")
    split = data.split
    assert (len(split.val), len(split.test)) == (1, 1)
    synthetic = [case for case in split.train if case.made_from is not None]
    assert len(synthetic) == 8
    volumes = data.volumes
    for case in synthetic:
        assert volumes[case.id].tissue is not None
        assert volumes[case.id].meta["annotated"] == [True] * 5
    # A later evaluation leaves out the CT whose map was used, too.
    assert {voxel_hash(read_ct(case.made_from.image).data) for case in synthetic} <= set(data.voxel_hashes())


def test_a_label_map_alone_marks_its_ct_as_seen(tmp_path):
    labelled_body.write(tmp_path / "set", "a", "b")
    split = tmp_path / "split.json"
    split.write_text('{"train": ["labelmaps/folder_a_0", "labelmaps/folder_a_1"], "val": ["tree/x"]}')
    for name in "xyz":
        folder = tmp_path / "tree" / name
        folder.mkdir(parents=True)
        hu, label = labelled_body.trunk()
        labelled_body.save(folder / "ct.nii.gz", hu + np.int16(20 + ord(name)))
        labelled_body.save(folder / "label.nii.gz", label)
    overrides = [
        "data=[tree,folder,labelmaps]",
        f"data.sources.tree.root={tmp_path}/tree",
        f"data.sources.tree.label_codes={CODES}",
        "data.sources.labelmaps.of=folder",
        "data.sources.labelmaps.instead=true",
        "data.sources.labelmaps.deformation=0",
        "split=file",
        f"split.path={split}",
    ]
    data = datamodule(tmp_path, *overrides)
    seen = data.voxel_hashes()
    assert voxel_hash(read_ct(tmp_path / "set" / "images" / "a.nii.gz").data) in seen
    assert voxel_hash(read_ct(tmp_path / "set" / "images" / "b.nii.gz").data) not in seen


def test_the_map_of_a_ct_that_validates_under_another_name_is_refused(tmp_path):
    labelled_body.write(tmp_path / "set", "a", "b")
    labelled_body.write(tmp_path / "copy", "a")
    split = tmp_path / "split.json"
    split.write_text('{"train": ["labelmaps/folder_a_0"], "val": ["manifest/x"]}')
    table = tmp_path / "table.csv"
    table.write_text("case,image,label\nx,copy/images/a.nii.gz,copy/labels/a.nii.gz\n")
    overrides = [
        "data=[manifest,folder,labelmaps]",
        f"data.sources.manifest.path={table}",
        f"data.sources.manifest.label_codes={CODES}",
        "data.sources.labelmaps.of=folder",
        "data.sources.labelmaps.instead=true",
        "data.sources.labelmaps.deformation=0",
        "split=file",
        f"split.path={split}",
    ]
    with pytest.raises(UserError, match=r"labelmaps/folder_a_0 \(train\) was made .* same voxels as manifest/x"):
        _ = datamodule(tmp_path, *overrides).volumes


def test_the_map_of_a_ct_that_tests_is_refused_without_its_ct(tmp_path):
    labelled_body.write(tmp_path / "set", "a", "b", "c")
    _, label = labelled_body.trunk()
    labelled_body.save(tmp_path / "maps" / "m.nii", label[::-1].copy())
    split = tmp_path / "split.json"
    split.write_text('{"train": ["folder/a"], "val": ["folder/b"], "test": ["folder/c"]}')
    overrides = [
        "data=[folder,labelmaps]",
        "data.sources.labelmaps.of=[]",
        f"data.sources.labelmaps.maps={tmp_path}/maps",
        f"data.sources.labelmaps.label_codes={CODES}",
        "data.sources.labelmaps.variants=1",
        "split=file",
        f"split.path={split}",
    ]
    message = r"labelmaps/m_0 \(train\) was made from the label map of folder/[bc], which validates or tests; take that"
    with pytest.raises(UserError, match=message):
        _ = datamodule(tmp_path, *overrides).volumes
    labelled_body.save(tmp_path / "maps" / "m.nii", np.where(label == 2, 0, label))
    assert "labelmaps/m_0" in datamodule(tmp_path, *overrides).volumes


def test_the_option_that_an_unknown_structure_asks_for_can_be_given(tmp_path):
    labelled_body.write(tmp_path / "set", *"abcdef")
    codes = CODES.replace("aorta", "psoas")
    option = "data=[folder,labelmaps]"
    with pytest.raises(UserError, match=r"'data.sources.labelmaps.tissues=\{psoas: muscle\}'"):
        _ = datamodule(tmp_path, option, codes=codes).cases
    data = datamodule(tmp_path, option, "data.sources.labelmaps.tissues={psoas: muscle}", codes=codes)
    assert len(data.cases) == 6 + 12
