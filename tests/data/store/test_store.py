import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import torchio as tio
from small_ct import CODES, ORGANS, save, transform, write_case, write_tissues

from segment.anatomy.structure import Structure, measure_structures
from segment.data.store import content
from segment.data.store import store as module
from segment.data.store.store import Store
from segment.data.store.volume import FOREGROUND_VOXELS, StoredVolume
from segment.datasets.sources.folder import Folder
from segment.errors import UserError
from segment.io.label_codes import LabelMap
from segment.io.read import read_ct, read_label
from segment.phantom.tissues import CODES as TISSUES
from segment.preprocess.preprocess import preprocess

fork = multiprocessing.get_context("fork")


def list_cases(root):
    return Folder(root, CODES).cases("set")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", transform(), ORGANS)


def folders_of(root):
    """All folders in a store, including temporary ones, except the record of hashes."""
    return sorted(path for path in root.iterdir() if path.name != module.CONTENT)


def in_one_thread(target, *arguments):
    # As in the workers of a loader. A forked process has no OpenMP threads, so it would wait for them forever.
    torch.set_num_threads(1)
    target(*arguments)


def run(target, *arguments):
    process = fork.Process(target=in_one_thread, args=(target, *arguments))
    process.start()
    process.join(60)
    return process.exitcode


def test_places_of_organs_on_the_ct_s_grid_are_stored(store, cases):
    stored = store.prepare(cases[:1])[cases[0].id]
    scan = read_ct(cases[0].image)
    expected = measure_structures(scan, cases[0].label.read(scan, cases[0].image, ORGANS))
    assert expected
    remembered = {ORGANS.index(organ) + 1: Structure(**place) for organ, place in stored.meta["places"].items()}
    assert remembered == expected


def test_a_stored_volume_equals_a_new_one(store, cases):
    for case in cases[:2]:
        stored = store.prepare([case])[case.id]
        scan, label = read_ct(case.image), read_label(case.label.path)
        fresh = preprocess(transform(), scan, LabelMap(CODES, ORGANS).to_classes(label.data, source="x"))
        assert np.array_equal(stored.image[:].astype(np.float32), fresh.image[0].numpy())
        assert np.array_equal(stored.label[:], fresh.label[0].numpy())
        assert np.array_equal(stored.meta["affine"], fresh.affine)
        assert stored.meta["minimum"] == float(fresh.image.min())
        assert stored.meta["classes"] == [1, 2]
        assert stored.label.dtype == np.uint8


@pytest.fixture
def case_with_tissues(tmp_path):
    write_case(tmp_path, "a")
    write_tissues(tmp_path, "a")
    return Folder(tmp_path, CODES, tissues="tissues").cases("set")[0]


def test_a_tissue_map_is_resampled_like_the_label(store, case_with_tissues):
    (volume,) = store.prepare([case_with_tissues]).values()
    tissue = volume.tissue[:]
    assert tissue.dtype == np.uint8
    assert set(np.unique(tissue)) == {TISSUES[name] for name in ("muscle", "liver", "spleen", "stomach_fluid")}
    for index, organ in enumerate(ORGANS, start=1):
        assert np.array_equal(tissue == TISSUES[organ], volume.label[:] == index)


def test_a_tissue_map_changes_nothing_else(store, case_with_tissues):
    (mapped,) = store.prepare([case_with_tissues]).values()
    (plain,) = store.prepare([replace(case_with_tissues, tissues=None)]).values()
    assert plain.tissue is None
    assert {path.name for path in mapped.folder.iterdir()} - {path.name for path in plain.folder.iterdir()} == {
        "tissue.b2nd"
    }
    for name in ("image.b2nd", "label.b2nd", "foreground.npy", "meta.json"):
        assert (mapped.folder / name).read_bytes() == (plain.folder / name).read_bytes()


@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_a_damaged_tissue_map_is_detected(store, case_with_tissues, how):
    (volume,) = store.prepare([case_with_tissues]).values()
    tissue, path = volume.tissue[:], volume.folder / "tissue.b2nd"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    if how == "flipped":
        path.write_bytes(content)
    (again,) = store.prepare([case_with_tissues]).values()
    assert np.array_equal(again.tissue[:], tissue)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (
            np.full((24, 20, 16), 250, np.uint8),
            r"a\.nii\.gz holds codes that segment/phantom/tissues\.py does not name: 250",
        ),
        (np.zeros((24, 20, 15), np.uint8), r"label .*tissues/a\.nii\.gz .*\(24, 20, 15\)"),
        (np.full((24, 20, 16), 0.5, np.float32), r"tissues/a\.nii\.gz holds 0\.5, which is not an integer"),
    ],
)
def test_an_unusable_tissue_map_is_named(store, case_with_tissues, codes, message):
    save(case_with_tissues.tissues, codes, nib.load(case_with_tissues.image).affine)
    with pytest.raises(UserError, match=message):
        store.prepare([case_with_tissues])


def test_a_tissue_map_that_is_no_file_is_named(store, case_with_tissues):
    case_with_tissues.tissues.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"set/a: cannot read .*tissues/a\.nii\.gz: it is damaged"):
        store.prepare([case_with_tissues])


def test_a_crop_equals_a_slice_of_the_whole_volume(tmp_path):
    write_case(tmp_path, "a", shape=(100, 70, 40), spacing_mm=(1, 1, 1))
    volume = Store(tmp_path / "s", transform((1, 1, 1)), ORGANS).prepare(list_cases(tmp_path))["set/a"]
    whole = volume.image[:]
    assert whole.shape == (100, 70, 40)
    assert np.array_equal(volume.image[60:68, 3:66, 30:40], whole[60:68, 3:66, 30:40])


def test_foreground_voxels_belong_to_their_class_and_cover_it(tmp_path):
    write_case(tmp_path, "a", shape=(100, 70, 40), spacing_mm=(1, 1, 1))
    volume = Store(tmp_path / "s", transform((1, 1, 1)), ORGANS).prepare(list_cases(tmp_path))["set/a"]
    label, voxels = volume.label[:], volume.foreground
    assert np.array_equal(label[tuple(voxels[:, 1:].T)], voxels[:, 0])
    assert len(np.unique(voxels, axis=0)) == len(voxels)
    assert (voxels[:, 0] == 1).sum() == FOREGROUND_VOXELS
    assert (voxels[:, 0] == 2).sum() == min(FOREGROUND_VOXELS, (label == 2).sum())
    of_liver = voxels[voxels[:, 0] == 1, 1:]
    assert np.array_equal(of_liver.min(axis=0), np.argwhere(label == 1).min(axis=0))
    assert np.allclose(of_liver.mean(axis=0), np.argwhere(label == 1).mean(axis=0), atol=1)


def test_a_case_without_organs(store, cases):
    codes = {"liver": 100, "spleen": 101, "other": [2, 5, 7, 9]}
    case = replace(cases[0], label=replace(cases[0].label, codes=codes))
    volume = store.prepare([case])[case.id]
    assert volume.meta["classes"] == []
    assert volume.foreground.shape == (0, 4)
    assert not volume.label[:].any()


def test_a_stored_volume_is_not_prepared_again(store, cases, monkeypatch):
    first = store.prepare(cases)
    monkeypatch.setattr(module, "preprocess", None)
    assert store.prepare(cases) == first
    assert len(folders_of(store.root)) == len(cases)


def test_a_changed_file_or_option_gives_another_volume(tmp_path, store):
    write_case(tmp_path, "a", seed=0)
    before = store.prepare(list_cases(tmp_path))["set/a"]
    write_case(tmp_path, "a", seed=1)
    after = store.prepare(list_cases(tmp_path))["set/a"]
    assert not np.array_equal(before.image[:], after.image[:])
    other = Store(store.root, transform((4, 4, 4)), ORGANS).prepare(list_cases(tmp_path))["set/a"]
    assert other.image.shape != after.image.shape
    swapped = Store(store.root, transform(), ORGANS[::-1]).prepare(list_cases(tmp_path))["set/a"]
    assert np.array_equal(swapped.label[:] == 1, after.label[:] == 2)
    write_case(tmp_path, "a", seed=0)
    assert store.prepare(list_cases(tmp_path))["set/a"] == before


def test_workers_make_no_difference(tmp_path, cases):
    without_workers = Store(tmp_path / "0", transform(), ORGANS).prepare(cases)
    by_two = Store(tmp_path / "2", transform(), ORGANS).prepare(cases, num_workers=2)
    assert list(without_workers) == list(by_two) == [case.id for case in cases]
    for name, volume in without_workers.items():
        other = by_two[name]
        assert volume.folder.name == other.folder.name
        for path in volume.folder.iterdir():
            assert path.read_bytes() == (other.folder / path.name).read_bytes()


@pytest.mark.parametrize("num_workers", [0, 1])
def test_preparation_does_not_change_the_random_state(store, cases, num_workers):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    store.prepare(cases[:2], num_workers)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_all_failing_cases_are_named_and_the_others_prepared(tmp_path, store, num_workers):
    for number in range(5):
        write_case(tmp_path, f"c{number}", seed=number)
    (tmp_path / "images" / "c1.nii.gz").write_bytes(b"")
    write_case(tmp_path / "other", "c3", shape=(9, 9, 9))
    shutil.copy(tmp_path / "other" / "labels" / "c3.nii.gz", tmp_path / "labels" / "c3.nii.gz")
    with pytest.raises(UserError) as caught:
        store.prepare(list_cases(tmp_path), num_workers)
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 of 5 cases cannot be used:"
    assert lines[1].startswith("  set/c1: cannot read ")
    assert lines[2].startswith("  set/c3: label ")
    assert len(lines) == 3
    assert len(folders_of(store.root)) == 3


def test_the_error_of_one_case_is_one_line(tmp_path, store):
    _, label = write_case(tmp_path, "c")
    case = Folder(tmp_path, {"liver": 5, "spleen": 2}).cases("set")
    with pytest.raises(UserError, match=rf"^set/c: {label} holds codes that label_codes does not name: 9; name them"):
        store.prepare(case)


def test_the_error_of_a_transform_names_the_ct(tmp_path):
    write_case(tmp_path, "a")
    store = Store(tmp_path / "store", tio.Compose([tio.Clamp(out_min=5000), tio.ZNormalization()]), ORGANS)
    with pytest.raises(
        UserError, match=r"set/a: preprocessing failed: RuntimeError: Standard deviation is 0 .*; look at .*a\.nii\.gz"
    ):
        store.prepare(list_cases(tmp_path))


def test_a_full_disk_is_reported_and_leaves_no_files(store, cases, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"cannot write to the store .*: No space left on device; free space or choose"):
        store.prepare(cases[:1])
    assert not folders_of(store.root)


def _prepare_and_be_killed(store, cases, moment):
    """Kill the process while it writes the n-th file."""
    write, calls = Path.write_bytes, []

    def kill(path, content):
        calls.append(path)
        if len(calls) == moment:
            write(path, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(path, content)

    Path.write_bytes = kill
    store.prepare(cases)


@pytest.mark.parametrize(
    "name", ["image.b2nd", "label.b2nd", "foreground.npy", "meta.json", "identity.json", "sums.json"]
)
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_damaged_volume_is_detected_and_prepared_again(tmp_path, cases, caplog, name, how):
    store = Store(tmp_path, transform(), ORGANS)
    (stored,) = store.prepare(cases[:1]).values()
    image, label = stored.image[:], stored.label[:]
    path = stored.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    if how != "gone":
        path.write_bytes(content if how == "flipped" else content[:-1])
    (again,) = Store(tmp_path, transform(), ORGANS).prepare(cases[:1]).values()
    assert np.array_equal(again.image[:], image)
    assert np.array_equal(again.label[:], label)
    assert "the stored volume of set/case0 is damaged" in caplog.text
    assert again.is_intact()
    assert len(folders_of(tmp_path)) == 1


@pytest.mark.parametrize("file", range(6))
def test_preparation_resumes_after_a_kill_in_the_middle_of_any_file(store, cases, monkeypatch, file):
    clean = {
        name: volume.image[:] for name, volume in Store(store.root / "x", transform(), ORGANS).prepare(cases).items()
    }
    root = store.root / "y"
    store = Store(root, transform(), ORGANS)
    assert run(_prepare_and_be_killed, store, cases, 2 * 6 + 1 + file) == -signal.SIGKILL
    left = folders_of(root)
    assert (len(left), sum(not folder.name.startswith(".") for folder in left)) == (3, 2)
    done = []
    monkeypatch.setattr(module, "preprocess", lambda *arguments: done.append(1) or preprocess(*arguments))
    volumes = store.prepare(cases)
    assert len(done) == len(cases) - 2
    assert folders_of(root) == sorted(volume.folder for volume in volumes.values())
    assert all(np.array_equal(volumes[name].image[:], image) for name, image in clean.items())


def test_a_kill_at_any_moment_leaves_no_wrong_volume(store, cases):
    clean = {name: volume.image[:] for name, volume in store.prepare(cases).items()}
    root = store.root / "again"
    rng = random.Random(0)
    for _ in range(12):
        worker = fork.Process(target=in_one_thread, args=(Store(root, transform(), ORGANS).prepare, cases))
        worker.start()
        worker.join(rng.uniform(0, 0.15))
        worker.kill()
        worker.join()
        for folder in root.glob("[!.]*"):
            assert StoredVolume("", folder).is_intact()
    volumes = Store(root, transform(), ORGANS).prepare(cases)
    assert all(np.array_equal(volumes[name].image[:], image) for name, image in clean.items())


def _prepare_together(store, cases, barrier):
    barrier.wait(60)
    volumes = store.prepare(cases)
    assert all(volume.label[:].any() for volume in volumes.values())


def test_two_processes_fill_a_store_at_once(store, cases):
    barrier = fork.Barrier(2)
    processes = [fork.Process(target=in_one_thread, args=(_prepare_together, store, cases, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert folders_of(store.root) == sorted(volume.folder for volume in store.prepare(cases).values())


@pytest.mark.parametrize("moment", ["save", "mkdir"])
def test_another_process_may_be_faster(store, cases, monkeypatch, moment):
    """The other process writes the volume and cleans up while this one is writing."""
    owner = {"save": np, "mkdir": Path}[moment]
    original = getattr(owner, moment)

    def overtaken(path, *arguments, **options):
        monkeypatch.setattr(owner, moment, original)
        original(path, *arguments, **options)
        Store(store.root, transform(), ORGANS).add(cases[0])

    store.root.mkdir()
    monkeypatch.setattr(owner, moment, overtaken)
    folder = store.add(cases[0])
    assert folders_of(store.root) == [folder]
    assert json.loads((folder / "meta.json").read_text())["classes"] == [1, 2]


def test_a_volume_keeps_no_file_open_and_can_be_pickled(volumes):
    def open_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    kept = [volumes[0].image[:2, :2, :2] for _ in range(50)] + [volumes[0].label[:2, :2, :2] for _ in range(50)]
    assert open_files() <= before + 1
    again = pickle.loads(pickle.dumps(volumes[0]))
    assert np.array_equal(again.image[:2, :2, :2], kept[0])
    assert again.meta == volumes[0].meta


def test_a_second_run_reads_only_changed_cts(store, tmp_path, monkeypatch):
    for seed, name in enumerate("ab"):
        write_case(tmp_path, name, seed=seed)
    cases = list_cases(tmp_path)
    now = content.time.time_ns() + 120 * 10**9  # two minutes after the files were written
    monkeypatch.setattr(content.time, "time_ns", lambda: now)
    before = store.prepare(cases)
    read = []
    real = content.content_hash
    monkeypatch.setattr(content, "content_hash", lambda path: read.append(path) or real(path))
    assert store.prepare(cases) == before
    assert read == []
    write_case(tmp_path, "a", seed=9)
    after = store.prepare(cases)
    assert read == [cases[0].image, *cases[0].label.files]
    assert [name for name in before if before[name].folder != after[name].folder] == [cases[0].id]


def test_a_file_that_changes_between_hashing_and_reading_is_not_stored(store, tmp_path, monkeypatch):
    write_case(tmp_path, "a")
    (case,) = list_cases(tmp_path)
    real = module.fingerprint

    def change_after_hashing(volume_identity):
        write_case(tmp_path, "a", seed=1)
        return real(volume_identity)

    monkeypatch.setattr(module, "fingerprint", change_after_hashing)
    with pytest.raises(UserError, match=r"a\.nii\.gz or its label changed while it was read; start again"):
        store.add(case)
    monkeypatch.undo()
    assert not list(store.root.glob("[!.]*"))
    again, new = (each.prepare([case])[case.id] for each in (store, Store(tmp_path / "new", transform(), ORGANS)))
    np.testing.assert_array_equal(again.image[:], new.image[:])
