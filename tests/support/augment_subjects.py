"""Subjects to augment."""

import numpy as np
import torch
import torchio as tio


def ball(size=(32, 28, 24), centre=(0.6, 0.45, 0.5), radius=7, spacing_mm=(1, 1, 1)):
    """A ball, as smooth image and as label of class 3, off the middle."""
    grids = np.meshgrid(*map(np.arange, size), indexing="ij")
    offsets = [(g - c * (n - 1)) * mm for g, c, n, mm in zip(grids, centre, size, spacing_mm, strict=True)]
    distance = np.sqrt(sum(offset**2 for offset in offsets))
    image = torch.from_numpy(np.clip(radius - distance + 0.5, 0, 1).astype(np.float32))[None]
    return subject(image, (image > 0.5).to(torch.uint8) * 3, spacing_mm)


def noise(size=(24, 24, 24), seed=0):
    """White noise of mean 0 and deviation 1; its label says where it is positive."""
    image = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, *size)).astype(np.float32))
    return subject(image, (image > 0).to(torch.uint8))


def subject(image, label, spacing_mm=(1, 1, 1)):
    """A subject as the patch data set makes it."""
    affine = np.diag([*spacing_mm, 1])
    return tio.Subject(
        image=tio.ScalarImage(tensor=image, affine=affine), label=tio.LabelMap(tensor=label, affine=affine)
    )
