"""Subjects to augment."""

import numpy as np
import torch
import torchio as tio


def ball(size=(32, 28, 24), centre=(0.6, 0.45, 0.5), radius=7, spacing_mm=(1, 1, 1)):
    """A ball away from the centre: a smooth image, and a label of class 3."""
    grids = np.meshgrid(*map(np.arange, size), indexing="ij")
    offsets = [(g - c * (n - 1)) * mm for g, c, n, mm in zip(grids, centre, size, spacing_mm, strict=True)]
    distance = np.sqrt(sum(offset**2 for offset in offsets))
    image = torch.from_numpy(np.clip(radius - distance + 0.5, 0, 1).astype(np.float32))[None]
    return subject(image, (image > 0.5).to(torch.uint8) * 3, spacing_mm)


def noise(size=(24, 24, 24), seed=0):
    """White noise with mean 0 and standard deviation 1; the label is 1 where the noise is positive."""
    image = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, *size)).astype(np.float32))
    return subject(image, (image > 0).to(torch.uint8))


def subject(image, label, spacing_mm=(1, 1, 1)):
    """A subject with the keys of the patch data set."""
    affine = np.diag([*spacing_mm, 1])
    return tio.Subject(
        image=tio.ScalarImage(tensor=image, affine=affine), label=tio.LabelMap(tensor=label, affine=affine)
    )
