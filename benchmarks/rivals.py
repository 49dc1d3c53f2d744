"""Augmentations of other systems for `patches.py`, with the same kinds, ranges and probabilities as ours."""

import os
import warnings
from collections.abc import Callable
from math import radians
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROTATION = (-radians(30), radians(30))


def nnunet_transforms(patch_size, p_elastic: float = 0.0):
    """Default training transforms of nnU-Net v2, without the extra labels of deep supervision.

    They mirror along one axis, as ours do, not along all three. Elastic deformation, which nnU-Net leaves out by
    default, has the probability `p_elastic`.
    """
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ.setdefault(name, "unused")  # nnU-Net warns if they are missing
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    transforms = nnUNetTrainer.get_training_transforms(patch_size, ROTATION, None, (0,), False)
    transforms.transforms[0].p_elastic_deform = p_elastic
    return transforms


def nnunet_augment(patch_size, p_elastic: float = 0.0) -> Callable[[Tensor, Tensor], None]:
    """Function that applies nnU-Net's transforms to image and label of a patch."""
    transforms = nnunet_transforms(patch_size, p_elastic)
    return lambda image, label: transforms(image=image, segmentation=label.to(torch.int16))


def nnunet_loader(image: np.ndarray, label: np.ndarray, organs, patch_size, foreground_share, folder: Path):
    """nnU-Net's loader for a data set of one case, which nnU-Net's code stores in its own format; batches of 2.

    Args:
        image: Preprocessed volume (I,J,K) float32.
        label: (I,J,K) uint8.
        organs: Names of the organs.
        patch_size: Voxels along I, J, K.
        foreground_share: Probability that a patch is sampled around an organ.
        folder: An empty folder.
    """
    transforms = nnunet_transforms(patch_size)
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
    from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
    from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    classes = list(range(1, len(organs) + 1))
    data, seg = image[None], label[None].astype(np.int8)
    found = DefaultPreprocessor._sample_foreground_locations(seg, classes)
    (blocks, chunks), (blocks_seg, chunks_seg) = (
        comp_blosc2_params(array.shape, patch_size, array.itemsize) for array in (data, seg)
    )
    nnUNetDatasetBlosc2.save_case(
        data,
        seg,
        {"class_locations": found},
        str(folder / "case"),
        chunks=chunks,
        blocks=blocks,
        chunks_seg=chunks_seg,
        blocks_seg=blocks_seg,
    )
    return nnUNetDataLoader(
        nnUNetDatasetBlosc2(str(folder)),
        batch_size=2,
        patch_size=get_patch_size(patch_size, *(ROTATION,) * 3, (0.85, 1.25)),
        final_patch_size=patch_size,
        label_manager=LabelManager({"background": 0} | dict(zip(organs, classes, strict=True)), None),
        oversample_foreground_percent=foreground_share,
        probabilistic_oversampling=True,
        transforms=transforms,
    )


def monai_augment(p_elastic: float = 0.0) -> Callable[[Tensor, Tensor], None]:
    """Function that applies MONAI's dictionary transforms to a patch; without metadata, which takes time.

    Rotation, scaling and elastic deformation are separate transforms. Scaling is cheap. `Rand3DElasticd`, here with the
    smallest kernels in MONAI's own examples, takes many times longer than the rest.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.data import set_track_meta
        from monai.transforms import (
            Compose,
            Rand3DElasticd,
            RandAdjustContrastd,
            RandFlipd,
            RandGaussianNoised,
            RandGaussianSmoothd,
            RandRotated,
            RandScaleIntensityd,
            RandScaleIntensityFixedMeand,
            RandSimulateLowResolutiond,
            RandZoomd,
        )
    set_track_meta(False)
    both, image_only, sigma, gamma = ("image", "label"), ("image",), (0.5, 1.0), (0.7, 1.5)
    modes = {"mode": ("bilinear", "nearest"), "padding_mode": "border"}
    elastic = []
    if p_elastic:  # at prob=0 it would still resample
        elastic = [Rand3DElasticd(both, sigma_range=(5, 8), magnitude_range=(50, 150), prob=p_elastic, **modes)]
    stats = {"gamma": gamma, "retain_stats": True}
    transforms = Compose(
        [
            RandRotated(both, *(radians(30),) * 3, prob=0.2, **modes),
            RandZoomd(both, prob=0.2, min_zoom=0.7, max_zoom=1.4, mode=("trilinear", "nearest"), padding_mode="edge"),
            *elastic,
            RandGaussianNoised(image_only, prob=0.1, std=0.1),
            RandGaussianSmoothd(image_only, sigma_x=sigma, sigma_y=sigma, sigma_z=sigma, prob=0.1),
            RandScaleIntensityd(image_only, factors=0.25, prob=0.15),
            RandScaleIntensityFixedMeand(image_only, factors=0.25, preserve_range=True, prob=0.15),
            RandSimulateLowResolutiond(image_only, prob=0.125, zoom_range=(0.5, 1)),
            RandAdjustContrastd(image_only, prob=0.1, **stats, invert_image=True),
            RandAdjustContrastd(image_only, prob=0.3, **stats),
            RandFlipd(both, prob=0.5, spatial_axis=0),
        ]
    )
    transforms.set_random_state(0)
    return lambda image, label: transforms({"image": image, "label": label})
