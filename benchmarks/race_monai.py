"""MONAI's networks in `race.py`: a training script as in its tutorials of the spleen and of BTCV.

It differs from these in what four organs and a few minutes on a CPU need: no mirroring, which would exchange the
kidneys; batches of two patches; AdamW with a cosine; and no validation, because no contender chooses an epoch.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.data import CacheDataset, DataLoader, Dataset, decollate_batch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.layers import Norm
from monai.networks.nets import SegResNet, UNet, VNet
from monai.transforms import (
    AsDiscreted,
    Compose,
    CropForegroundd,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    Orientationd,
    RandAffined,
    RandCropByPosNegLabeld,
    RandScaleIntensityd,
    RandShiftIntensityd,
    ScaleIntensityRanged,
    Spacingd,
    SpatialPadd,
)
from monai.utils import set_determinism
from race_job import Clock, Job, cosine
from results import ORGANS

from segment.io.json_file import read_json
from segment.phantom.write import save_nifti

CLASSES = 1 + len(ORGANS)
WINDOW_HU = (-175, 250)  # of the BTCV tutorial
PATCHES = 2  # of one case, in a batch


def unet() -> torch.nn.Module:
    """The network of the spleen tutorial."""
    channels = (16, 32, 64, 128, 256)
    return UNet(3, 1, CLASSES, channels=channels, strides=(2,) * 4, num_res_units=2, norm=Norm.BATCH)


def segresnet() -> torch.nn.Module:
    """The network of the BraTS tutorial."""
    return SegResNet(
        init_filters=16,
        in_channels=1,
        out_channels=CLASSES,
        dropout_prob=0.2,
        blocks_down=(1, 2, 2, 4),
        blocks_up=(1, 1, 1),
    )


def vnet() -> torch.nn.Module:
    """VNet with MONAI's defaults."""
    return VNet(in_channels=1, out_channels=CLASSES)


NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "MONAI UNet": unet,
    "MONAI SegResNet": segresnet,
    "MONAI VNet": vnet,
}


def preparation(job: Job, keys: tuple[str, ...]) -> list[Any]:
    """Transforms without random numbers: load, orient, resample, window, crop to the body."""
    modes = ("bilinear", "nearest")[: len(keys)]
    return [
        LoadImaged(keys),
        EnsureChannelFirstd(keys),
        Orientationd(keys, axcodes="RAS", labels=None),
        Spacingd(keys, pixdim=(job.spacing_mm,) * 3, mode=modes),
        ScaleIntensityRanged("image", *WINDOW_HU, b_min=0.0, b_max=1.0, clip=True),
        CropForegroundd(keys, source_key="image", allow_smaller=True),
    ]


def patches(job: Job) -> list[Any]:
    """Random transforms of a training patch."""
    keys, size = ("image", "label"), (job.patch,) * 3
    crop = RandCropByPosNegLabeld(
        keys, label_key="label", spatial_size=size, pos=1, neg=1, num_samples=PATCHES, image_key="image"
    )
    affine = RandAffined(
        keys,
        prob=0.5,
        rotate_range=(0.17,) * 3,
        scale_range=(0.15,) * 3,
        mode=("bilinear", "nearest"),
        padding_mode="border",
    )
    return [
        SpatialPadd(keys, size),
        crop,
        affine,
        RandScaleIntensityd("image", factors=0.1, prob=0.5),
        RandShiftIntensityd("image", offsets=0.1, prob=0.5),
    ]


def train(job: Job) -> None:
    """Train one network until its last mark."""
    clock = Clock(job)
    set_determinism(job.seed)
    names = read_json(job.data / "splits_final.json")[0]["train"]
    files = [
        {"image": job.data / f"imagesTr/{n}_0000.nii.gz", "label": job.data / f"labelsTr/{n}.nii.gz"} for n in names
    ]
    transforms = Compose([*preparation(job, ("image", "label")), *patches(job)])
    cached = CacheDataset(files, transforms, cache_rate=1.0, num_workers=job.threads, progress=False)
    loader = DataLoader(cached, batch_size=1, shuffle=True, num_workers=job.threads, persistent_workers=True)
    net, criterion = NETWORKS[job.contender](), DiceCELoss(to_onehot_y=True, softmax=True)
    optimizer = torch.optim.AdamW(net.parameters(), job.lr, weight_decay=1e-5)
    for step, batch in enumerate(_endless(loader), start=1):
        for group in optimizer.param_groups:
            group["lr"] = cosine(job.lr, clock.share())
        optimizer.zero_grad()
        criterion(net(batch["image"]), batch["label"]).backward()
        optimizer.step()
        if clock.save_if_due(step, lambda path: torch.save(net.state_dict(), path)):
            return


def _endless(loader: DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    while True:
        yield from loader


def predict(job: Job, checkpoint: Path, cts: Mapping[str, Path], output: Path) -> None:
    """Write a mask on the CT's own grid for every CT that has none yet."""
    net = NETWORKS[job.contender]()
    net.load_state_dict(torch.load(checkpoint, weights_only=True))
    net.eval()
    transforms = Compose(preparation(job, ("image",)))
    back = Invertd("pred", transforms, orig_keys="image", nearest_interp=False, to_tensor=True)
    post = Compose([back, AsDiscreted("pred", argmax=True)])
    missing = {name: path for name, path in cts.items() if not (output / f"{name}.nii.gz").exists()}
    loader = DataLoader(Dataset([{"image": path} for path in missing.values()], transforms), batch_size=1)
    with torch.inference_mode():
        for (name, path), batch in zip(missing.items(), loader, strict=True):
            batch["pred"] = sliding_window_inference(batch["image"], (job.patch,) * 3, 1, net, overlap=0.25)
            pred = post(decollate_batch(batch)[0])["pred"][0]
            save_nifti(output / f"{name}.nii.gz", np.asarray(pred).astype(np.uint8), nib.load(path).affine)
