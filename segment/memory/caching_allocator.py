"""Memory that PyTorch's caching allocator reserves on a GPU for a sequence of allocations.

The rules are those of c10/cuda/CUDACachingAllocator.cpp (PyTorch 2.x, default settings). Sizes are rounded up to 512
bytes. Up to 1 MiB, blocks are cut from segments of 2 MiB; up to 10 MiB, from segments of 20 MiB; larger ones get a
segment of their own, rounded up to 2 MiB. The smallest free block that is large enough is used first. Segments are kept
for reuse, so what is reserved only grows.
"""

import bisect
from dataclasses import dataclass

MIB = 2**20
ROUND = 512
SMALL, SMALL_SEGMENT = MIB, 2 * MIB
MIDDLE, MIDDLE_SEGMENT = 10 * MIB, 20 * MIB


@dataclass(eq=False)
class Block:
    """A part of a segment, linked to its neighbours there."""

    size: int
    is_small: bool
    is_free: bool = False
    released: int = 0  # counts releases; decides between free blocks of equal size
    before: "Block | None" = None
    after: "Block | None" = None


class CachingAllocator:
    """Follows allocations and sums up the segments that they need.

    Attributes:
        reserved: Bytes of all segments so far.
    """

    def __init__(self) -> None:
        self.reserved = 0
        self._free: dict[bool, list[Block]] = {True: [], False: []}  # by pool: small or not; sorted by size
        self._releases = 0

    def allocate(self, size: int) -> Block:
        """Take a block of at least `size` bytes; free it with `free`."""
        size = max(ROUND, _up(size, ROUND))
        is_small = size <= SMALL
        pool = self._free[is_small]
        place = bisect.bisect_left(pool, size, key=lambda block: block.size)
        block = pool.pop(place) if place < len(pool) else self._new_segment(size, is_small)
        block.is_free = False
        left = block.size - size
        if left >= ROUND if is_small else left > SMALL:
            self._split(block, size)
        return block

    def free(self, block: Block) -> None:
        """Give a block back; it merges with free neighbours."""
        for other in (block.before, block.after):
            if other is not None and other.is_free:
                self._take(other)
                self._merge(block, other)
        self._release(block)

    def _new_segment(self, size: int, is_small: bool) -> Block:
        segment = SMALL_SEGMENT if is_small else MIDDLE_SEGMENT if size < MIDDLE else _up(size, 2 * MIB)
        self.reserved += segment
        return Block(segment, is_small)

    def _split(self, block: Block, size: int) -> None:
        rest = Block(block.size - size, block.is_small, before=block, after=block.after)
        if block.after is not None:
            block.after.before = rest
        block.after, block.size = rest, size
        self._release(rest)

    def _merge(self, block: Block, other: Block) -> None:
        """Extend a block by a free neighbour."""
        block.size += other.size
        if other is block.before:
            block.before = other.before
            if other.before is not None:
                other.before.after = block
        else:
            block.after = other.after
            if other.after is not None:
                other.after.before = block

    def _release(self, block: Block) -> None:
        self._releases += 1
        block.is_free, block.released = True, self._releases
        bisect.insort(self._free[block.is_small], block, key=_key)

    def _take(self, block: Block) -> None:
        pool = self._free[block.is_small]
        pool.pop(bisect.bisect_left(pool, _key(block), key=_key))


def _key(block: Block) -> tuple[int, int]:
    return block.size, block.released


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
