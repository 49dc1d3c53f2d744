import random
from collections import Counter

import nibabel as nib
import numpy as np
import pytest
import torch
import torchio as tio
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from small_ct import ORGANS, write_case

from segment.commands.command import config_dir
from segment.data.augment import RandomBlur, RandomContrast, RandomSpatial
from segment.data.patches import EpochSampler, PatchDataset, PatchLoader
from segment.data.store.store import Store
from segment.data.store.volume import StoredVolume
from segment.datasets.sources.folder import Folder
from segment.phantom.tissues import CODES as TISSUES

AUGMENT = tio.Compose(
    [
        RandomSpatial(degrees=15, scale=0.2),
        RandomContrast([0.8, 1.2], p=0.5),
        RandomBlur([0.2, 0.5], p=0.5),
        tio.RandomNoise(),
    ]
)
KEYS = [(epoch, index) for epoch in (0, 1) for index in range(8)]


def patches(volumes, patch_size=(8, 8, 8), share=0.5, augment=AUGMENT, seed=3):
    return PatchDataset(volumes, patch_size, share, augment, seed)


def same(a, b):
    return torch.equal(a["image"].data, b["image"].data) and torch.equal(a["label"].data, b["label"].data)


def counted(shape):
    return np.arange(1, 1 + np.prod(shape), dtype=np.int16).reshape(shape)


def numbered(root, shape, organs=(), names="a"):
    """Stored volumes in which voxel n has the value n, counted from 1, with organs given as slices."""
    for offset, name in enumerate(names):
        image, label = write_case(root, name, shape=shape, spacing_mm=(1, 1, 1), suffix=".nii")
        hu = counted(shape) + 100 * offset
        classes = np.zeros(shape, np.uint8)
        for code, position in enumerate(organs, start=1):
            classes[position] = code
        nib.save(nib.Nifti1Image(hu, np.eye(4)), image)
        nib.save(nib.Nifti1Image(classes, np.eye(4)), label)
    cases = Folder(root, {"liver": 1, "spleen": 2}).cases("set")
    return list(Store(root / "store", tio.Compose([]), ORGANS).prepare(cases).values())


def test_shapes_and_types_of_a_patch(volumes):
    patch = patches(volumes, (8, 6, 10))[(0, 0)]
    assert patch["image"].data.shape == patch["label"].data.shape == (1, 8, 6, 10)
    assert (patch["image"].data.dtype, patch["label"].data.dtype) == (torch.float32, torch.uint8)
    assert set(patch["label"].data.unique().tolist()) <= {0, 1, 2}


def test_a_patch_has_the_voxel_size_of_its_volume(volumes):
    spacing_mm = np.linalg.norm(np.array(volumes[0].meta["affine"])[:3, :3], axis=0)
    assert not np.allclose(spacing_mm, 1)
    patch = patches(volumes[:1])[(0, 0)]
    assert np.allclose(patch["image"].spacing, spacing_mm)
    assert np.allclose(patch["label"].spacing, spacing_mm)


def test_a_patch_depends_on_seed_epoch_and_index_only(volumes):
    first = {key: patches(volumes)[key] for key in KEYS}
    dataset = patches(volumes)
    for key in KEYS[::-1]:
        torch.manual_seed(hash(key) % 1000)
        np.random.seed(hash(key) % 1000)
        random.seed(key[1])
        assert same(dataset[key], first[key])


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_workers_make_no_difference(volumes, num_workers):
    dataset = patches(volumes)
    loader = tio.SubjectsLoader(dataset, sampler=KEYS, batch_size=4, num_workers=num_workers)
    for number, batch in enumerate(loader):
        for position in range(4):
            expected = dataset[KEYS[4 * number + position]]
            assert torch.equal(batch["image"]["data"][position], expected["image"].data)
            assert torch.equal(batch["label"]["data"][position], expected["label"].data)
    assert number == 3


@pytest.fixture
def threads():
    """A function that sets torch's number of threads for the duration of a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def augmentation(*overrides):
    with initialize_config_dir(config_dir(), version_base="1.3"):
        cfg = compose("train", overrides=["organs=[liver,spleen]", *overrides])
    return instantiate(cfg.augment, _convert_="all")


ELASTIC = ["+augment.transforms.spatial.elastic_mm=15", "+augment.transforms.spatial.p_elastic=1"]
CHOICES = [("augment=light",), ("augment=strong",), ("augment=nnunet",), ("augment=nnunet", *ELASTIC)]


@pytest.mark.parametrize("overrides", CHOICES, ids=["light", "strong", "nnunet", "elastic"])
def test_threads_make_no_difference_to_any_transform(tmp_path, threads, overrides):
    # Large enough for torch to use several threads. The patch is cropped along two axes and padded along one.
    volumes = numbered(tmp_path, (48, 52, 40), [np.s_[9:20, 9:20, 9:20]])
    for transform in augmentation(*overrides):
        transform.probability = 1.0
        dataset = patches(volumes, (44, 44, 44), augment=transform)
        for key in KEYS[:4]:
            threads(1)
            expected = dataset[key]
            threads(2)
            assert same(dataset[key], expected), transform


def test_threads_make_no_difference_to_drawn_patches(tissue_volumes, threads):
    augment = augmentation("augment=contrast", "augment.transforms.redraw.p=1")
    # Padded to a size for which torch uses several threads.
    dataset = patches(tissue_volumes, (44, 44, 44), augment=augment)
    for key in KEYS[:6]:
        threads(1)
        expected = dataset[key]
        threads(2)
        assert same(dataset[key], expected)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_drawn_and_real_patches_in_an_epoch_that_is_resumed(tissue_volumes, volumes, num_workers):
    dataset = patches([*tissue_volumes, volumes[0]], augment=augmentation("augment=contrast"))

    def loader(workers=num_workers):
        return PatchLoader(dataset, sampler=EpochSampler(1, 12, 2), batch_size=2, num_workers=workers)

    expected = [batch["image"]["data"] for batch in loader(0)]
    batches = [batch["image"]["data"] for batch in loader()]
    assert all(map(torch.equal, batches, expected))
    resumed = loader()
    resumed.load_state_dict({"batches": 4})
    assert all(map(torch.equal, [batch["image"]["data"] for batch in resumed], expected[4:]))


def test_images_of_volumes_without_tissues_are_not_drawn(tissue_volumes, volumes):
    redraw = augmentation("augment=contrast", "augment.transforms.redraw.p=1").transforms[1]
    plain = patches([tissue_volumes[0], volumes[0]], augment=None)
    mixed = patches([tissue_volumes[0], volumes[0]], augment=redraw)
    for key in KEYS:
        assert torch.equal(mixed[key]["label"].data, plain[key]["label"].data)
        is_drawn = not torch.equal(mixed[key]["image"].data, plain[key]["image"].data)
        assert is_drawn == mixed[key]["case"].startswith("tissues/")


def test_the_number_of_threads_is_restored(volumes, threads):
    def fail(subject):
        raise RuntimeError

    threads(2)
    patches(volumes)[(0, 0)]
    assert torch.get_num_threads() == 2
    with pytest.raises(RuntimeError):
        patches(volumes, augment=fail)[(0, 0)]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resumed_epoch_continues_with_the_remaining_batches(volumes, num_workers):
    def loader():
        return PatchLoader(patches(volumes), sampler=EpochSampler(1, 12, 2), batch_size=2, num_workers=num_workers)

    whole, stopped, resumed = [loader() for _ in range(3)]
    expected = [batch["image"]["data"] for batch in whole]
    batches = iter(stopped)
    for _ in range(4):
        next(batches)
    resumed.load_state_dict(stopped.state_dict())
    assert len(resumed) == 6  # of the whole epoch; Lightning finds the last batch by it
    rest = [batch["image"]["data"] for batch in resumed]
    assert len(rest) == 2
    assert all(torch.equal(one, other) for one, other in zip(rest, expected[4:], strict=True))
    assert resumed.state_dict() == {"batches": 6}


def test_seed_epoch_and_index_each_change_the_patch(volumes):
    one = volumes[:1]  # so that the difference cannot come from another volume
    sampled = [patches(one)[key] for key in ((0, 0), (1, 0), (0, 1), (0, 6))] + [patches(one, seed=4)[(0, 0)]]
    assert len({float(patch["image"].data.double().mean()) for patch in sampled}) == 5


def test_global_random_states_are_not_changed(volumes):
    def random_numbers():
        return torch.rand(1).item(), np.random.rand(), random.random()

    def seed():
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)

    seed()
    expected = random_numbers()
    seed()
    for key in KEYS:
        patches(volumes)[key]
    assert random_numbers() == expected


def test_an_epoch_uses_every_volume_equally_often(tmp_path):
    volumes = numbered(tmp_path, (4, 4, 4), names="abcde")
    dataset = patches(volumes, (4, 4, 4), augment=None)
    for epoch in range(3):
        sampled = [int(dataset[(epoch, index)]["image"].data[0, 0, 0, 0]) // 100 for index in range(12)]
        assert Counter(sampled[:5]) == Counter(sampled[5:10]) == Counter(range(5))
        assert sampled[10] != sampled[11]
    orders = {tuple(int(dataset[(e, i)]["image"].data[0, 0, 0, 0]) for i in range(5)) for e in range(10)}
    assert len(orders) > 5


def corner_of(patch, shape):
    return np.array(np.unravel_index(int(patch["image"].data[0, 0, 0, 0]) - 1, shape))


def test_patches_without_foreground_are_anywhere_inside(tmp_path):
    shape = (12, 11, 10)
    whole = counted(shape)
    dataset = patches(numbered(tmp_path, shape), (5, 4, 10), share=0, augment=None)
    corners = set()
    for index in range(400):
        patch = dataset[(0, index)]
        i, j, k = corner_of(patch, shape)
        corners.add((int(i), int(j), int(k)))
        assert np.array_equal(patch["image"].data[0], whole[i : i + 5, j : j + 4, k : k + 10])
    assert corners == {(i, j, 0) for i in range(8) for j in range(8)}


def test_foreground_patches_have_the_organ_in_their_middle_half(tmp_path):
    shape = (14, 12, 11)
    dataset = patches(numbered(tmp_path, shape, [np.s_[7, 6, 5]]), (4, 4, 4), share=1, augment=None)
    seen = set()
    for index in range(200):
        patch = dataset[(0, index)]
        (position,) = np.argwhere(patch["label"].data[0].numpy())
        assert ((position >= 1) & (position <= 2)).all()
        seen.add(tuple(position.tolist()))
    assert len(seen) == 8


def test_a_foreground_patch_at_the_border_stays_inside(tmp_path):
    shape = (12, 12, 12)
    whole = counted(shape)
    dataset = patches(numbered(tmp_path, shape, [np.s_[0, 11, 0]]), (6, 6, 6), share=1, augment=None)
    for index in range(20):
        patch = dataset[(0, index)]
        assert corner_of(patch, shape).tolist() == [0, 6, 0]
        assert np.array_equal(patch["image"].data[0], whole[:6, 6:, :6])
        assert patch["label"].data.sum() == 1


def test_the_share_of_foreground_and_of_each_organ(tmp_path):
    # An organ of one voxel and one of 72 voxels, far apart. By chance, 0.3 % of the patches contain the single voxel.
    dataset = patches(numbered(tmp_path, (12, 12, 12), [np.s_[10, 10, 10], np.s_[0, :6, :12]]), (2, 2, 2), 0.6, None)
    counts = Counter(int(dataset[(0, index)]["label"].data.max()) for index in range(1000))
    assert counts[1] == pytest.approx(300, abs=45)  # three standard deviations
    assert counts[2] == pytest.approx(300 + 0.4 * 1000 * 0.05, abs=55)


def test_a_volume_without_organs_gives_patches(tmp_path):
    assert patches(numbered(tmp_path, (6, 6, 6)), (4, 4, 4), share=1, augment=None)[(0, 0)]["label"].data.sum() == 0


@pytest.mark.parametrize("share", [0, 1])
def test_a_volume_smaller_than_the_patch_is_centred_in_it(tmp_path, share):
    volume = numbered(tmp_path, (4, 3, 20), [np.s_[0, 0, 0]])
    patch = patches(volume, (6, 8, 5), share=share, augment=None)[(0, 5)]
    image, label = patch["image"].data[0].numpy(), patch["label"].data[0].numpy()
    assert image.shape == (6, 8, 5)
    k = int(image[1, 3, 0]) - 1
    assert np.array_equal(image[1:5, 3:6], counted((4, 3, 20))[:, :, k : k + 5])
    outside = np.ones((6, 8, 5), bool)
    outside[1:5, 3:6] = False
    assert (image[outside] == 1).all()  # the volume's minimum
    assert not label[outside].any()
    assert label.sum() == (k == 0)


class Remember(tio.Transform):
    """A transform that keeps the subjects it sees."""

    def __init__(self, needs_tissue=True):
        super().__init__()
        self.needs_tissue = needs_tissue
        self.seen = []

    def apply_transform(self, subject):
        self.seen.append(dict(subject))
        return subject


@pytest.mark.parametrize("nest", [tio.Compose, tio.OneOf, lambda steps: tio.Compose([tio.Compose(steps)])])
def test_an_augmentation_sees_the_tissues_that_it_needs(tissue_volumes, volumes, nest):
    step = Remember()
    dataset = patches([tissue_volumes[0]], (6, 24, 5), augment=nest([step]))
    patch = dataset[(0, 1)]
    assert "tissue" not in patch
    (seen,) = step.seen
    tissue = seen["tissue"].data
    assert (tissue.shape, tissue.dtype) == ((1, 6, 24, 5), torch.uint8)
    for index, organ in enumerate(ORGANS, start=1):
        assert torch.equal(tissue == TISSUES[organ], patch["label"].data == index)
    outside = (patch["image"].data == patch["image"].data.amin()).all(dim=(0, 1, 3))  # the volume has 13 voxels along J
    assert (tissue[:, :, outside] == TISSUES["air"]).all()


def test_tissues_are_not_read_for_nothing(tissue_volumes, monkeypatch):
    monkeypatch.delattr(StoredVolume, "tissue")
    step = Remember(needs_tissue=False)
    patches(tissue_volumes, augment=tio.Compose([step]))[(0, 0)]
    assert "tissue" not in step.seen[0]


def test_volumes_with_and_without_tissues_are_collated(tissue_volumes, volumes):
    step = Remember()
    dataset = patches([tissue_volumes[0], volumes[0]], augment=tio.Compose([step]))
    (batch,) = PatchLoader(dataset, sampler=EpochSampler(0, 2, 2), batch_size=2)
    assert sorted("tissue" in seen for seen in step.seen) == [False, True]
    assert batch["image"]["data"].shape == (2, 1, 8, 8, 8)
    assert "tissue" not in batch


@pytest.mark.parametrize(
    "augment", [tio.RandomAffine(), tio.RandomElasticDeformation(num_control_points=5, max_displacement=2)]
)
def test_transforms_of_torchio_keep_the_dtypes(volumes, augment):
    patch = patches(volumes, (12, 12, 12), augment=augment)[(0, 0)]
    assert (patch["image"].data.dtype, patch["label"].data.dtype) == (torch.float32, torch.uint8)
    assert set(patch["label"].data.unique().tolist()) <= {0, 1, 2}


@given(
    num_samples=st.integers(1, 200), batch_size=st.integers(1, 9), world_size=st.integers(1, 5), epoch=st.integers(0, 9)
)
def test_processes_share_an_epoch_in_whole_batches(num_samples, batch_size, world_size, epoch):
    shares = [list(EpochSampler(epoch, num_samples, batch_size, rank, world_size)) for rank in range(world_size)]
    keys = sorted(key for share in shares for key in share)
    assert keys == [(epoch, index) for index in range(len(keys))]
    assert num_samples <= len(keys) < num_samples + batch_size * world_size
    assert {len(share) for share in shares} == {len(keys) // world_size}
    assert len(shares[0]) % batch_size == 0
    assert len(EpochSampler(epoch, num_samples, batch_size, 0, world_size)) == len(shares[0])
