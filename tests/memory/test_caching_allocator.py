from segment.memory.caching_allocator import MIB, CachingAllocator


def test_small_blocks_share_a_segment_and_are_rounded_up():
    allocator = CachingAllocator()
    blocks = [allocator.allocate(size) for size in (1, 512, 513)]
    assert [block.size for block in blocks] == [512, 512, 1024]
    assert allocator.reserved == 2 * MIB
    allocator.allocate(MIB)
    assert allocator.reserved == 2 * MIB
    allocator.allocate(MIB)  # does not fit beside the others
    assert allocator.reserved == 4 * MIB


def test_large_blocks_have_a_segment_of_their_own():
    allocator = CachingAllocator()
    allocator.allocate(10 * MIB + 1)
    assert allocator.reserved == 12 * MIB
    allocator.allocate(9 * MIB)  # 2 MiB of the first segment are left
    assert allocator.reserved == 32 * MIB


def test_freed_blocks_are_used_again_smallest_first():
    allocator = CachingAllocator()
    large, middle = allocator.allocate(40 * MIB), allocator.allocate(30 * MIB)
    allocator.free(large)
    allocator.free(middle)
    allocator.allocate(29 * MIB)
    allocator.allocate(40 * MIB)
    assert allocator.reserved == 70 * MIB


def test_neighbours_merge_when_they_are_freed():
    allocator = CachingAllocator()
    parts = [allocator.allocate(5 * MIB) for _ in range(4)]
    assert allocator.reserved == 20 * MIB
    for index in (1, 3, 0, 2):  # on both sides
        allocator.free(parts[index])
    allocator.allocate(20 * MIB)
    assert allocator.reserved == 20 * MIB


def test_what_is_cut_off_a_large_block_stays_with_it_unless_it_is_large():
    allocator = CachingAllocator()
    allocator.free(allocator.allocate(20 * MIB))
    allocator.allocate(19 * MIB)
    allocator.allocate(2 * MIB)  # 1 MiB was left, which is not cut off
    assert allocator.reserved == 40 * MIB
