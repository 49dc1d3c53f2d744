"""One preprocessing for training, validation, test and prediction."""

from dataclasses import dataclass

import numpy as np
import torch
import torchio as tio
from torch import Tensor

from segment.data.randomness import random_state
from segment.data.scan import Scan
from segment.errors import UserError


@dataclass(frozen=True)
class Volume:
    """A whole preprocessed image.

    Attributes:
        image: (1,I,J,K) float32, rounded to what float16 can hold, so that it is the same from the store and fresh.
        label: (1,I,J,K) uint8 class indices, or None.
        affine: (4,4) voxel → RAS+ mm.
    """

    image: Tensor
    label: Tensor | None
    affine: np.ndarray


def preprocess(transform: tio.Transform, scan: Scan, classes: np.ndarray | None = None) -> Volume:
    """Run the configured transform on a CT and, in training, its class indices.

    A pure function of its arguments: global random states neither matter nor move, although every TorchIO transform
    draws a number.

    Args:
        transform: TorchIO transform that may reorient, resample, crop and change intensities; see `conf/preprocess`.
        scan: The CT in HU on its own grid.
        classes: Class indices on the same grid.

    Raises:
        UserError: When the transform leaves intensities that float16 cannot hold.
    """
    # ascontiguous: TorchIO cannot take big-endian or negative-stride arrays.
    hu = np.ascontiguousarray(scan.data, dtype=np.float32)[None]
    subject = tio.Subject(image=tio.ScalarImage(tensor=torch.from_numpy(hu), affine=scan.affine))
    if classes is not None:
        tensor = torch.from_numpy(np.ascontiguousarray(classes, dtype=np.uint8)[None])
        subject.add_image(tio.LabelMap(tensor=tensor, affine=scan.affine), "label")
    with random_state(0):
        result = transform(subject)
    image = result["image"].data.half().float().contiguous()
    if not image.isfinite().all():
        msg = "preprocessing leaves intensities that are infinite or beyond ±65504; clip them to a window of HU"
        raise UserError(msg)
    label = result["label"].data.to(torch.uint8).contiguous() if classes is not None else None
    return Volume(image, label, np.asarray(result["image"].affine, dtype=np.float64))
