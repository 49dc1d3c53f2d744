"""Segment a CT: preprocess it, run the network over it, restore the CT's grid, and clean up the mask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torchio as tio
from torch import Tensor, nn

from segment.errors import UserError
from segment.inference.confidence.evidence import Evidence, gather_evidence
from segment.inference.confidence.second_look import look_again
from segment.inference.memory import check_volume
from segment.inference.region import Region
from segment.inference.restore import restore
from segment.inference.search.organ_search import Search, search_organs
from segment.inference.sliding_window import SlidingWindow
from segment.io.scan import Scan
from segment.preprocess.preprocess import preprocess
from segment.runtime.machine import release_freed_memory

# Maps class indices (I,J,K) uint8, which it may overwrite, and the affine (4,4) to class indices.
PostProcess = Callable[[np.ndarray, np.ndarray], np.ndarray]

NO_WEIGHT = torch.zeros(0)  # the type and device of networks in exported files, which have no weights of PyTorch


@dataclass(frozen=True)
class Segmented:
    """The result for a CT.

    Attributes:
        mask: Class indices (I,J,K), uint8, on the CT's own grid.
        searches: What each network ran; empty if it ran over the whole volume.
        evidence: What the network says about each organ; None if it was not asked for.
    """

    mask: np.ndarray
    searches: list[Search]
    evidence: Evidence | None = None


class Segmenter:
    """Segment CTs with a trained network, on their own grids.

    Evaluation and prediction both use this class. Evaluation runs the network over whole volumes; so does
    `segment predict exact=true`. By default, prediction runs it only where the organs are, see `search_organs`.

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

    def __call__(self, scan: Scan) -> np.ndarray:
        """Class indices (I,J,K), uint8, on the CT's own grid, with the network run over the whole volume."""
        return self.segment(scan, exact=True).mask

    @torch.inference_mode()
    def segment(self, scan: Scan, exact: bool, doubted: Sequence[str] | None = None) -> Segmented:
        """Segment a CT.

        Mixed precision is disabled. `segment predict` does not use it, and interpolation in half precision would shift
        the borders of organs.

        Args:
            scan: The CT in HU.
            exact: Whether to run the network over the whole volume, instead of only where the organs are.
            doubted: Names of all organs, class i first, to gather evidence for the confidence; None gathers none.
        """
        weight = next(self.net.parameters(), NO_WEIGHT)
        training = self.net.training
        with torch.autocast(weight.device.type, enabled=False):
            release_freed_memory()
            volume = preprocess(self.transform, scan)
            release_freed_memory()
            affine = volume.affine
            self.check(volume.image.shape[1:])
            self.net.eval()
            try:
                image = volume.image[None].to(weight)
                region, searches = self.region(image, exact)
                evidence = None if doubted is None else self._evidence(image, region, searches, affine, doubted)
                del image
            finally:
                self.net.train(training)
            del volume
            release_freed_memory()
            mask = restore(region.logits, region.affine(affine), scan.data.shape, scan.affine)
        return Segmented(self.postprocess(mask, scan.affine) if self.postprocess else mask, searches, evidence)

    def check(self, size: Sequence[int]) -> None:
        """Refuse a preprocessed volume of (I,J,K) voxels that does not fit into memory.

        Raises:
            UserError: With the size of the volume.
        """
        check_volume(self.net, self.inferer, size, self.classes)

    def region(self, image: Tensor, exact: bool) -> tuple[Region, list[Search]]:
        """Logits of the part of a preprocessed volume (1,1,I,J,K) with organs, and what was run to find it."""
        if exact or not isinstance(self.inferer, SlidingWindow):
            return Region(self.logits(image)[0], (0, 0, 0)).trimmed(), []
        region, search = search_organs(self.inferer, self._checked_run, image)
        return region, [search]

    def window_logits(self, window: Tensor) -> Tensor:
        """Logits (1,C,*patch_size) of one window (1,1,*patch_size), for a second look."""
        return self._checked_run(window)

    def _evidence(
        self, image: Tensor, region: Region, searches: Sequence[Search], affine: np.ndarray, organs: Sequence[str]
    ) -> Evidence:
        """Second looks, for which the network must take windows, and sums of the probabilities."""
        looks = {}
        if isinstance(self.inferer, SlidingWindow):
            windows = searches[0].windows if searches else self.inferer.windows(image.shape[2:])
            looks = look_again(self.window_logits, self.inferer.patch_size, image, region, organs, windows)
        return gather_evidence(region, affine, looks)

    def logits(self, image: Tensor) -> Tensor:
        """Logits (1,C,I,J,K), float32, of a preprocessed volume (1,1,I,J,K) on the network's device."""
        return self.inferer(self._checked_run, image)

    def _checked_run(self, patches: Tensor) -> Tensor:
        """What `run` returns, without NaN, which would silently become background.

        Raises:
            UserError: When a logit is NaN.
        """
        logits = self.run(patches)
        if bool(logits.isnan().any()):
            msg = (
                f"the network {type(self.net).__name__} gives NaN: its training diverged, or its file is damaged; give "
                "another checkpoint"
            )
            raise UserError(msg)
        return logits
