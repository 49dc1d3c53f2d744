"""Segment a CT with MONAI's transforms and sliding window, and the network of a checkpoint of `segment`.

    python benchmarks/predict_monai.py <checkpoint> <ct> <output folder>

The steps are those of MONAI's tutorials: the logits are resampled to the grid of the CT, then the class with the
highest one is taken.
"""

import sys

import torch
from monai.data import DataLoader, Dataset, decollate_batch
from monai.inferers import SlidingWindowInferer
from monai.transforms import (
    AsDiscreted,
    Compose,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    NormalizeIntensityd,
    Orientationd,
    SaveImaged,
    ScaleIntensityRanged,
    Spacingd,
)

from segment.checkpoint.load import load_model


def main(checkpoint: str, ct: str, output: str) -> None:
    """Segment and write `<name>_seg.nii.gz`."""
    trained = load_model(checkpoint, ["painted"])
    _, resample, window, standardize = trained.metadata["config"]["preprocess"]["transforms"]
    low, high = window["window_hu"]
    before = Compose(
        [
            LoadImaged("image"),
            EnsureChannelFirstd("image"),
            Orientationd("image", axcodes="RAS"),
            Spacingd("image", pixdim=resample["spacing_mm"], mode="bilinear"),
            ScaleIntensityRanged("image", low, high, 0.0, 1.0, clip=True),
            NormalizeIntensityd("image", subtrahend=standardize["mean"], divisor=standardize["std"]),
        ]
    )
    after = Compose(
        [
            Invertd("pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
            AsDiscreted("pred", argmax=True),
            SaveImaged("pred", output_dir=output, output_postfix="seg", output_dtype="uint8", separate_folder=False),
        ]
    )
    inferer = trained.segmenter.inferer
    overlap = [o / p for o, p in zip(inferer.overlap, inferer.patch_size, strict=True)]
    sliding = SlidingWindowInferer(inferer.patch_size, 1, overlap, mode="gaussian", cval=-0.4 / 0.3)
    with torch.inference_mode():
        for batch in DataLoader(Dataset([{"image": ct}], before), batch_size=1):
            batch["pred"] = sliding(batch["image"], trained.net)
            for item in decollate_batch(batch):
                after(item)


if __name__ == "__main__":
    main(*sys.argv[1:])
