import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torchio as tio
from hydra import compose, initialize_config_dir
from small_ct import CODES, ORGANS, transform, write_case, write_tissues

from segment.data.augment import RandomNoise
from segment.data.datamodule import CTDataModule
from segment.data.splits.random_split import RandomSplit
from segment.data.splits.split import FileSplit, SharedSplit
from segment.data.volumes import LabelledScan
from segment.datasets.annotation_files import LabelFile
from segment.datasets.sources.folder import Folder
from segment.errors import UserError


def build(sources, cache_dir, **changes):
    arguments = {
        "organs": ORGANS,
        "preprocess": transform(),
        "augment": RandomNoise([0.1, 0.2], p=1),
        "split": RandomSplit(val=0.2, test=0.2, seed=0),
        "patch_size": [8, 8, 8],
        "patches_per_epoch": 6,
        "foreground_share": 0.5,
        "batch_size": 2,
        "num_workers": 0,
        "seed": 0,
    }
    return CTDataModule(sources=sources, cache_dir=cache_dir, **(arguments | changes))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def sources(folder):
    return {"set": Folder(folder, CODES)}


def attach_trainer(datamodule, epoch=0, rank=0, world_size=1):
    datamodule.trainer = SimpleNamespace(current_epoch=epoch, global_rank=rank, world_size=world_size)
    return datamodule


def test_training_batches(sources, cache):
    batches = list(attach_trainer(build(sources, cache, patches_per_epoch=20)).train_dataloader())
    assert len(batches) == 10
    for batch in batches:
        assert batch["image"]["data"].shape == batch["label"]["data"].shape == (2, 1, 8, 8, 8)
        assert (batch["image"]["data"].dtype, batch["label"]["data"].dtype) == (torch.float32, torch.uint8)
        assert set(batch["label"]["data"].unique().tolist()) <= {0, 1, 2}
    assert {int(label) for batch in batches for label in batch["label"]["data"].unique()} == {0, 1, 2}


def test_every_epoch_marks_all_volumes_as_used(sources, cache):
    """So that cleaning up the store keeps those of a long training, also the ones that validate or test."""
    datamodule = attach_trainer(build(sources, cache))
    datamodule.train_dataloader()
    folders = [volume.folder for volume in datamodule.volumes.values()]
    for folder in folders:
        os.utime(folder, (0, 0))
    datamodule.train_dataloader()
    assert min(folder.stat().st_mtime for folder in folders) > time.time() - 60


def test_validation_batches_are_whole_preprocessed_volumes(sources, cache):
    datamodule = build(sources, cache)
    assert len(datamodule.split.val) == 1
    (batch,) = datamodule.val_dataloader()
    stored = datamodule.volumes[datamodule.split.val[0].id]
    assert np.array_equal(batch["image"]["data"][0, 0].numpy(), stored.image[:].astype(np.float32))
    assert np.array_equal(batch["label"]["data"][0, 0].numpy(), stored.label[:])
    assert batch["image"]["data"].shape == (1, 1, 16, 13, 16)


def test_test_batches_are_scans_on_their_own_grids(sources, cache):
    datamodule = build(sources, cache)
    (labelled,) = datamodule.test_dataloader()
    assert isinstance(labelled, LabelledScan)
    assert labelled.id == datamodule.split.test[0].id
    assert labelled.scan.data.shape == labelled.reference.shape == (24, 20, 16)
    assert labelled.scan.data.dtype == np.int16


def test_an_epoch_is_rounded_up_to_whole_batches(sources, cache):
    def count(**changes):
        return len(attach_trainer(build(sources, cache, **changes)).train_dataloader())

    assert count(patches_per_epoch=7) == 4
    assert count(patches_per_epoch=None) == 2  # four training cases
    assert count(patches_per_epoch=None, batch_size=3) == 2
    assert count(patches_per_epoch=1, batch_size=4) == 1


def test_two_processes_share_the_patches(sources, cache):
    def images(loader):
        return [image for batch in loader for image in batch["image"]["data"]]

    together = images(attach_trainer(build(sources, cache, patches_per_epoch=8)).train_dataloader())
    shares = [
        images(attach_trainer(build(sources, cache, patches_per_epoch=8), rank=rank, world_size=2).train_dataloader())
        for rank in (0, 1)
    ]
    for number, image in enumerate(together):
        assert torch.equal(shares[number % 2][number // 2], image)


def test_fewer_cases_than_processes(sources, cache):
    datamodules = [attach_trainer(build(sources, cache), rank=rank, world_size=2) for rank in (0, 1)]
    assert [len(d.val_dataloader()) for d in datamodules] == [1, 1]  # both get the only case; the means are the same
    assert [len(list(d.test_dataloader())) for d in datamodules] == [1, 0]
    for datamodule in datamodules:  # with length 0 Lightning would skip the hooks in which processes wait
        with pytest.raises(TypeError, match="has no len"):
            len(datamodule.test_dataloader())


def test_each_case_goes_to_one_process(sources, cache):
    split = RandomSplit(val=0.5, test=0.3, seed=0)
    datamodules = [attach_trainer(build(sources, cache, split=split), rank=rank, world_size=2) for rank in (0, 1)]
    assert [len(d.val_dataloader()) for d in datamodules] == [2, 1]
    ids = [labelled.id for d in datamodules for labelled in d.test_dataloader()]
    assert ids == [case.id for case in datamodules[0].split.test]


def test_loaders_do_not_change_the_random_state(sources, cache):
    datamodule = attach_trainer(build(sources, cache))
    _ = datamodule.volumes
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    for loader in (datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()):
        assert list(loader)
    assert torch.equal(torch.rand(3), expected)


class Recorder(pl.LightningModule):
    """A module that records the mean of every training batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.current_epoch, float(batch["image"]["data"].double().mean())))
        return self.weight * 1.0

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1)


@pytest.mark.filterwarnings("ignore::pytorch_lightning.utilities.warnings.PossibleUserWarning")
def test_epochs_differ_and_a_resumed_run_gets_the_same_patches(sources, cache, tmp_path):
    def fit(epochs, checkpoint=None):
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            default_root_dir=tmp_path,
        )
        recorder = Recorder()
        trainer.fit(recorder, datamodule=build(sources, cache), ckpt_path=checkpoint, weights_only=True)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        return recorder.seen

    whole = fit(3)
    assert [epoch for epoch, _ in whole] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len({mean for _, mean in whole}) == 9
    assert fit(2) == whole[:6]
    assert fit(3, tmp_path / "last.ckpt") == whole[6:]


def test_sources_are_mixed(folder, tmp_path):
    write_case(tmp_path / "b", "only", seed=77, shape=(20, 20, 20))
    datamodule = attach_trainer(
        build(
            {"a": Folder(folder, CODES), "b": Folder(tmp_path / "b", {"liver": 5, "spleen": 2, "rest": 9})},
            tmp_path / "cache",
            patches_per_epoch=5,
            batch_size=1,
        )
    )
    assert {case.id.split("/")[0] for case in datamodule.split.train} == {"a", "b"}
    assert len(datamodule.volumes) == 7
    assert len(list(datamodule.train_dataloader())) == 5


def test_sources_are_mixed_on_the_command_line():
    with initialize_config_dir(str(Path(__file__).parents[2] / "conf"), version_base="1.3"):
        for names in (["lidc", "phantom"], ["folder", "flare22", "lidc"], ["phantom"]):
            cfg = compose("train", overrides=[f"data=[{','.join(names)}]"])
            assert list(cfg.data.sources) == names
            assert cfg.data._target_ == "segment.data.datamodule.CTDataModule"


def with_copy(folder, tmp_path):
    """The data set, with a copy of its first case under another name."""
    shutil.copytree(folder, tmp_path / "set")
    for kind in ("images", "labels"):
        shutil.copy(tmp_path / "set" / kind / "case0.nii.gz", tmp_path / "set" / kind / "copy.nii.gz")
    return {"set": Folder(tmp_path / "set", CODES)}


@pytest.mark.parametrize("part", ["val", "test"])
def test_the_same_ct_in_two_parts_is_refused(folder, tmp_path, part):
    ids = {"train": ["set/case0", "set/case1"], "val": ["set/case2"], "test": ["set/case3"]}
    ids[part] = ["set/copy"]
    (tmp_path / "split.json").write_text(str(ids).replace("'", '"'))
    datamodule = build(with_copy(folder, tmp_path), tmp_path / "c", split=FileSplit(tmp_path / "split.json"))
    with pytest.raises(UserError, match=rf"set/case0 \(train\) and set/copy \({part}\) hold the same voxels"):
        _ = datamodule.volumes


def test_the_same_ct_twice_in_one_part_is_accepted(folder, tmp_path):
    ids = {"train": ["set/case0", "set/copy"], "val": ["set/case2"]}
    (tmp_path / "split.json").write_text(str(ids).replace("'", '"'))
    datamodule = build(with_copy(folder, tmp_path), tmp_path / "c", split=FileSplit(tmp_path / "split.json"))
    assert len(datamodule.volumes) == 3
    assert len(datamodule.voxel_hashes()) == 2


def test_one_case_may_be_in_all_parts_on_purpose(sources, cache):
    datamodule = attach_trainer(build(sources, cache, split=SharedSplit()))
    assert list(datamodule.volumes) == ["set/case0"]
    assert datamodule.split.ids() == {part: ["set/case0"] for part in ("train", "val", "test")}
    assert list(datamodule.train_dataloader())


def test_an_organ_without_training_case_is_refused(folder, tmp_path):
    sources = {"set": Folder(folder, CODES | {"pancreas": 30, "kidney": 31})}
    datamodule = build(sources, tmp_path, organs=["liver", "pancreas", "kidney"])
    with pytest.raises(
        UserError, match="no training case shows pancreas, kidney; check its code or mask, or remove it"
    ):
        _ = datamodule.volumes


def test_a_validation_set_without_organs_is_refused(tmp_path):
    for seed in range(3):
        write_case(tmp_path, f"case{seed}", seed)
    for name in ("case1", "case2"):
        path = tmp_path / "labels" / f"{name}.nii.gz"
        label = nib.load(path)
        nib.save(nib.Nifti1Image(np.zeros(label.shape, np.uint8), label.affine), path)
    split = tmp_path / "split.json"
    split.write_text('{"train": ["set/case0"], "val": ["set/case1", "set/case2"], "test": []}')
    datamodule = build({"set": Folder(tmp_path, CODES)}, tmp_path, split=FileSplit(split))
    with pytest.raises(UserError, match="no validation case shows any organ"):
        _ = datamodule.volumes


def test_an_organ_missing_in_the_only_case_of_a_sanity_check_is_refused(folder, tmp_path):
    sources = {"set": Folder(folder, CODES | {"pancreas": 30})}
    datamodule = build(sources, tmp_path, organs=["liver", "pancreas"], split=SharedSplit())
    with pytest.raises(UserError, match=r"no training case shows pancreas; choose another one with split\.case="):
        _ = datamodule.volumes


def test_errors_of_test_cases_are_found_before_training(folder, tmp_path):
    class Broken(Folder):
        def cases(self, source, refused=None):
            return [broken(case) for case in super().cases(source, refused)]

    def broken(case):
        return replace(case, label=LabelFile(tmp_path / "nowhere.nii", CODES)) if case.id == test_id else case

    sources = {"set": Broken(folder, CODES)}

    test_id = build({"set": Folder(folder, CODES)}, tmp_path).split.test[0].id
    with pytest.raises(UserError, match=rf"{test_id}: cannot read .*nowhere\.nii"):
        _ = build(sources, tmp_path / "c").volumes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": [8, 8]}, r"patch_size must be a list of 3, each a whole number of at least 1, got \[8, 8\]"),
        ({"patch_size": [8, 0, 8]}, r"patch_size must be .* got \[8, 0, 8\]"),
        ({"patches_per_epoch": 0}, "patches_per_epoch must be a whole number of at least 1 or null, got 0"),
        ({"foreground_share": 1.1}, "foreground_share must be a number from 0 to 1, got 1.1"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"num_workers": -1}, "num_workers must be a whole number from 0 to 512, got -1"),
        ({"num_workers": 513}, "num_workers must be .* got 513"),
        ({"organs": []}, r"organs=\[\] names no organ"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, got -1"),
        (
            {"augment": tio.Compose([tio.RandomFlip()])},
            "RandomFlip mirrors left and right, but does not swap the labels",
        ),
        (
            {"preprocess": tio.Compose([tio.RandomFlip(axes=2)])},
            "preprocess contains RandomFlip, which moves",
        ),
        ({"preprocess": tio.Compose([tio.RandomAffine()])}, "preprocess contains RandomAffine, which moves"),
    ],
)
def test_settings_out_of_range_are_refused(sources, cache, change, message):
    with pytest.raises(UserError, match=message):
        build(sources, cache, **change)


def test_no_augmentation(sources, cache):
    assert list(attach_trainer(build(sources, cache, augment=None)).train_dataloader())
    assert list(attach_trainer(build(sources, cache, augment=tio.Compose([]))).train_dataloader())


class NeedsTissue(RandomNoise):
    needs_tissue = True


def test_an_augmentation_that_needs_tissues_is_refused_without_any(folder, tmp_path):
    augment = tio.Compose([NeedsTissue([0.1, 0.2], p=1)])
    datamodule = build({"set": Folder(folder, CODES)}, tmp_path / "cache", augment=augment)
    with pytest.raises(UserError, match="no training case has a tissue map, which this augmentation needs; add"):
        _ = datamodule.volumes
    assert not (tmp_path / "cache").exists()  # found before anything is prepared
    write_case(tmp_path, "a")
    write_tissues(tmp_path, "a")
    sources = {"set": Folder(folder, CODES), "drawn": Folder(tmp_path, CODES, tissues="tissues")}
    split = tmp_path / "split.json"
    split.write_text('{"train": ["set/case0", "drawn/a"], "val": ["set/case1"], "test": []}')
    assert len(build(sources, tmp_path / "cache", augment=augment, split=FileSplit(split)).volumes) == 3
    split.write_text('{"train": ["set/case0"], "val": ["drawn/a"], "test": []}')
    with pytest.raises(UserError, match="no training case has a tissue map"):
        _ = build(sources, tmp_path / "cache", augment=augment, split=FileSplit(split)).volumes


def test_folds_are_balanced_by_the_organs_that_cases_show(tmp_path):
    for seed in range(6):
        _, label = write_case(tmp_path, f"case{seed}", seed)
        if seed % 2:  # without a spleen
            stored = nib.load(label)
            data = np.asarray(stored.dataobj)
            nib.save(nib.Nifti1Image(np.where(data == CODES["spleen"], 0, data), stored.affine), label)
    for fold in range(3):
        split = RandomSplit(val=0.2, test=0.0, seed=0, folds=3, fold=fold)
        datamodule = build({"set": Folder(tmp_path, CODES)}, tmp_path / "c", split=split)
        assert sorted(int(case.id[-1]) % 2 for case in datamodule.split.test) == [0, 1]
