"""Segment a CT: preprocess it, run the network over it, restore the CT's grid, and clean up the mask."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torchio as tio
from torch import Tensor, nn

from segment.inference.memory import check_volume
from segment.inference.restore import restore
from segment.io.scan import Scan
from segment.preprocess.preprocess import preprocess

# Maps class indices (I,J,K) uint8, which it may overwrite, and the affine (4,4) to class indices.
PostProcess = Callable[[np.ndarray, np.ndarray], np.ndarray]

NO_WEIGHT = torch.zeros(0)  # the type and device of networks in exported files, which have no weights of PyTorch


class Segmenter:
    """Segment CTs with a trained network, on their own grids.

    Evaluation and prediction both use this class, so scores describe the masks that `segment predict` writes.

    Args:
        net: Maps (B,1,I,J,K) to logits (B,C,I,J,K).
        transform: The preprocessing that the network was trained with.
        inferer: Runs the network over a whole volume; see `SlidingWindow`.
        postprocess: Cleans class indices (I,J,K) on the CT's grid, given its affine; None leaves the mask as it is.
        classes: Number of classes of the logits, including background, to estimate the memory.

    Attributes:
        run: The network in the form of an engine; see `segment.inference.engines`. At first the network itself.
    """

    def __init__(
        self,
        net: nn.Module,
        transform: tio.Transform,
        inferer: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor],
        postprocess: PostProcess | None = None,
        classes: int = 2,
    ) -> None:
        self.net = net
        self.run: Callable[[Tensor], Tensor] = net
        self.transform = transform
        self.inferer = inferer
        self.postprocess = postprocess
        self.classes = classes

    @torch.inference_mode()
    def __call__(self, scan: Scan) -> np.ndarray:
        """Class indices (I,J,K), uint8, on the CT's own grid.

        Mixed precision is disabled. `segment predict` does not use it, and interpolation in half precision would shift
        the borders of organs.
        """
        weight = next(self.net.parameters(), NO_WEIGHT)
        training = self.net.training
        with torch.autocast(weight.device.type, enabled=False):
            volume = preprocess(self.transform, scan)
            self.check(volume.image.shape[1:])
            self.net.eval()
            try:
                logits = self.logits(volume.image[None].to(weight))[0]
            finally:
                self.net.train(training)
            mask = restore(logits, volume.affine, scan.data.shape, scan.affine)
        return self.postprocess(mask, scan.affine) if self.postprocess else mask

    def check(self, size: Sequence[int]) -> None:
        """Refuse a preprocessed volume of (I,J,K) voxels that does not fit into memory.

        Raises:
            UserError: With the size of the volume.
        """
        check_volume(self.net, self.inferer, size, self.classes)

    def logits(self, image: Tensor) -> Tensor:
        """Logits (1,C,I,J,K), float32, of a preprocessed volume (1,1,I,J,K) on the network's device."""
        return self.inferer(self.run, image)
