"""Work on some voxels of a region only, e.g. on those of the rib cage, a thin sheet that is a small part of its box."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from segment.phantom.region import Corner, Region


@contextmanager
def subset(region: Region, mask: np.ndarray) -> Iterator[Region]:
    """The voxels of a mask as a region whose arrays have one axis (N,). What is painted is written back at the end.

    Shapes that crop (`tube`) and `Region.field` need a box, not a subset.

    Args:
        region: A box.
        mask: (I,J,K) bool.
    """
    names = ("x", "y", "z", "hu", "tissue", "label", "free")
    part = replace(region, **{name: getattr(region, name)[mask] for name in names})
    yield part
    for name in ("hu", "tissue", "label", "free"):
        getattr(region, name)[mask] = getattr(part, name)


def cut(body: Region, values: np.ndarray, low: Corner, high: Corner) -> np.ndarray:
    """The part of an array (I,J,K) of a region that `Region.crop` cuts out between two corners."""
    return replace(body, free=values).crop(low, high).free
