"""A new CT for every patch, synthesised from its tissue map."""

import copy

import numpy as np
import torch
import torchio as tio
from torch import Tensor

from segment.bounds import Amounts, Factors, Share, in_range
from segment.data.augment.subjects import TISSUE, shallow_copy
from segment.errors import UserError
from segment.phantom.render import Scanners, render
from segment.runtime.seeding import random_state


class RedrawContrast(tio.IntensityTransform):  # type: ignore[misc]
    """Replace the image by a new CT that is synthesised from the subject's tissue map.

    Contrast phase, HU of every tissue, texture, blur and noise are sampled for each patch, so a few anatomies give any
    number of CTs; see `segment.phantom.render`. HU are physical: a liver may have 50 HU or 110 HU, but never 300 HU. A
    subject without a tissue map, such as a patch of a real CT, is returned as it is.

    Place it after the spatial transforms: texture, blur and noise then have their size in mm for any zoom.

    Args:
        preprocess: Preprocessing of the CTs. Its intensity transforms are applied to the HU.
        p: Probability that an image is replaced. The others keep the image of the data set.
        kernel_mm: Range of the blur in the axial plane. This and the following as in `segment.phantom.render.Scanners`.
        slice_mm: Range of the slice thickness.
        noise_hu: Range of the noise.
        texture: Range of the factor of the tissues' textures; [0, 0] gives uniform tissues.
        shading_hu: Range of the slow variation.

    Raises:
        UserError: When a number is out of its range, or the preprocessed intensity of a voxel depends on other voxels,
            as with torchio.ZNormalization: a patch does not show the whole CT.
    """

    needs_tissue = True

    @in_range
    def __init__(
        self,
        preprocess: tio.Transform,
        p: Share,
        kernel_mm: Amounts = Scanners.kernel_mm,
        slice_mm: Factors = Scanners.slice_mm,
        noise_hu: Factors = Scanners.noise_hu,
        texture: Amounts = Scanners.texture,
        shading_hu: Amounts = Scanners.shading_hu,
    ) -> None:
        super().__init__(p=p, copy=False)
        self.intensity = _intensity_steps(preprocess)
        self.scanners = Scanners(
            kernel_mm=_interval(kernel_mm),
            slice_mm=_interval(slice_mm),
            noise_hu=_interval(noise_hu),
            texture=_interval(texture),
            shading_hu=_interval(shading_hu),
        )
        self.args_names = ["scanners"]
        _check_voxelwise(self.intensity)

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Synthesise every intensity image, if there is a tissue map."""
        if TISSUE not in subject:
            return subject
        subject = shallow_copy(subject)
        tissue = subject[TISSUE].data[0].to(torch.uint8).numpy()
        for image in self.get_images(subject):
            rng = np.random.default_rng(int(torch.randint(2**63 - 1, ())))
            hu = torch.from_numpy(render(tissue, image.spacing, rng, self.scanners))
            image.set_data(_apply(self.intensity, hu[None]))
        return subject


def _interval(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    return float(low), float(high)


def _intensity_steps(transform: tio.Transform) -> list[tio.Transform]:
    """The steps of a preprocessing that change intensities only, in their order."""
    if isinstance(transform, tio.Compose):
        return [step for inner in transform.transforms for step in _intensity_steps(inner)]
    if not isinstance(transform, tio.IntensityTransform):
        return []
    step = copy.copy(transform)
    step.copy = False
    return [step]


def _apply(steps: list[tio.Transform], data: Tensor) -> Tensor:
    """Intensities (1,I,J,K) after some steps."""
    subject = tio.Subject(image=tio.ScalarImage(tensor=data))
    for step in steps:
        subject = step(subject)
    result: Tensor = subject["image"].data
    return result


def _check_voxelwise(steps: list[tio.Transform]) -> None:
    """Check that half of the range of HU gets the same intensities alone as with the other half."""
    hu = torch.arange(-1024.0, 3072.0).reshape(1, 16, 16, 16)
    for step in steps:
        with random_state(0):
            whole, part = _apply([step], hu.clone()), _apply([step], hu[:, :8].clone())
        if not torch.allclose(whole[:, :8], part):
            msg = (
                f"{type(step).__name__} computes intensities from a whole CT, so patches cannot be synthesised; choose "
                "another preprocessing, e.g. preprocess=ct, or another augmentation, e.g. augment=strong"
            )
            raise UserError(msg)
