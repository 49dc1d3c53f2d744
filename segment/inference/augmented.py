"""Segment with test-time augmentation."""

from collections.abc import Sequence

from torch import Tensor

from segment.inference.mean_region import MeanRegion
from segment.inference.region import Region
from segment.inference.search.organ_search import Search
from segment.inference.segmenter import Segmenter
from segment.inference.views import View


class AugmentedSegmenter(Segmenter):
    """Segment with the mean of the probabilities of a network, or an ensemble, in several views of the CT.

    The views are segmented one after the other, on the preprocessed grid. Memory holds the volume, one view of it, and
    the probabilities in the box of the organs.

    Args:
        segmenter: Segments the CT as it is, and each view.
        views: In addition to the CT as it is.
    """

    def __init__(self, segmenter: Segmenter, views: Sequence[View]) -> None:
        super().__init__(
            segmenter.net, segmenter.transform, segmenter.inferer, segmenter.postprocess, segmenter.classes
        )
        self.segmenter = segmenter
        self.views = views

    def check(self, size: Sequence[int]) -> None:
        """As `Segmenter.check`, for every view."""
        for seen in (size, *(view.size(size) for view in self.views)):
            self.segmenter.check(seen)

    def window_logits(self, window: Tensor) -> Tensor:
        """Those of the segmenter: a second look is one more view, and not averaged."""
        return self.segmenter.window_logits(window)

    def region(self, image: Tensor, exact: bool) -> tuple[Region, list[Search]]:
        """As `Segmenter.region`, of the mean."""
        mean = MeanRegion()
        found, searches = self.segmenter.region(image, exact)
        mean.add(found)
        del found
        for view in self.views:
            found, search = self.segmenter.region(view.show(image), exact)
            mean.add(view.undo(found, image.shape[2:]))
            del found  # before the next view is segmented
            searches += search
        return mean.region().trimmed(), searches
