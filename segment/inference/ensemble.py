"""Segment with an ensemble of networks."""

from collections.abc import Sequence

from torch import Tensor, nn

from segment.inference.mean_region import MeanRegion, log_of_mean
from segment.inference.memory import check_volume
from segment.inference.region import Region
from segment.inference.search.organ_search import Search
from segment.inference.segmenter import Segmenter
from segment.inference.sliding_window import SlidingWindow


class EnsembleSegmenter(Segmenter):
    """Segment with the mean of the softmax probabilities of several networks, on the preprocessed grid.

    The networks run one after the other. Memory holds the sum and the logits of one network.

    Args:
        members: Segmenters with equal preprocessing and post-processing. Each uses its own sliding window.
    """

    def __init__(self, members: Sequence[Segmenter]) -> None:
        first = members[0]
        nets = nn.ModuleList(member.net for member in members).train(first.net.training)
        super().__init__(nets, first.transform, first.inferer, first.postprocess, first.classes)
        self.members = members

    def check(self, size: Sequence[int]) -> None:
        """As `Segmenter.check`, for each member with the sum."""
        for member in self.members:
            check_volume(member.net, member.inferer, size, self.classes, len(self.members))

    def logits(self, image: Tensor) -> Tensor:
        """Logarithm of the mean probabilities (1,C,I,J,K). Its softmax is the mean probabilities."""
        mean = MeanRegion()
        for member in self.members:
            mean.add(Region(member.logits(image)[0], (0, 0, 0)))
        return mean.region().logits[None]

    def window_logits(self, window: Tensor) -> Tensor:
        """As `logits`, of one window of the first member's size. Members with windows of another size do not look."""
        looking = [member for member in self.members if _takes(member.inferer, window)]
        total = looking[0].window_logits(window).softmax(dim=1)
        for member in looking[1:]:
            total += member.window_logits(window).softmax(dim=1)
        return log_of_mean(total, len(looking))

    def region(self, image: Tensor, exact: bool) -> tuple[Region, list[Search]]:
        """As `Segmenter.region`. Where a member has not looked, its probability of background is 1."""
        if exact:
            return super().region(image, exact)
        mean, searches = MeanRegion(), []
        for member in self.members:
            region, search = member.region(image, exact)
            mean.add(region)
            del region  # before the next one is made
            searches += search
        return mean.region(), searches


def _takes(inferer: object, window: Tensor) -> bool:
    return isinstance(inferer, SlidingWindow) and inferer.patch_size == tuple(window.shape[2:])
