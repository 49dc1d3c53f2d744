"""Intensity transforms for Hounsfield units."""

import torchio as tio

from segment.bounds import PositiveFloat, Window, in_range


class WindowHU(tio.IntensityTransform):  # type: ignore[misc]
    """Clip to a window of Hounsfield units and rescale it to [0, 1].

    The window defines the scale, not the minimum and maximum of the volume, so a value means the same in every CT.

    Args:
        window_hu: Lower and upper bound in HU.

    Raises:
        UserError: When the lower bound is not below the upper bound.
    """

    @in_range
    def __init__(self, window_hu: Window) -> None:
        super().__init__()
        self.window_hu = (float(window_hu[0]), float(window_hu[1]))
        self.args_names = ["window_hu"]

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Clip and rescale every intensity image."""
        low, high = self.window_hu
        for image in self.get_images(subject):
            image.set_data(((image.data.float() - low) / (high - low)).clamp_(0, 1))
        return subject


class Standardize(tio.IntensityTransform):  # type: ignore[misc]
    """Subtract a mean and divide by a standard deviation. Both are the same for every CT.

    The statistics of a single volume (torchio.ZNormalization) depend on the amount of air and table in it. With fixed
    statistics, Hounsfield units remain comparable between patients, as in nnU-Net's CT normalisation (Isensee et al.
    2021, doi:10.1038/s41592-020-01008-z).

    Args:
        mean: Mean in the image's units at this point of the pipeline.
        std: Standard deviation, positive.

    Raises:
        UserError: When std is not positive.
    """

    @in_range
    def __init__(self, mean: float, std: PositiveFloat) -> None:
        super().__init__()
        self.mean = float(mean)
        self.std = float(std)
        self.args_names = ["mean", "std"]

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Standardise every intensity image."""
        for image in self.get_images(subject):
            image.set_data((image.data.float() - self.mean) / self.std)
        return subject
