import pytest

from segment.view.colors import organ_colors


def test_colors_depend_only_on_the_index():
    assert organ_colors(["liver", "spleen"]) == organ_colors(["a", "b", "c"])[:2]
    assert organ_colors(["x"])[0] == pytest.approx((0xD5 / 255, 0x5E / 255, 0))


def test_twenty_one_colors_differ_and_then_repeat():
    colors = organ_colors([str(n) for n in range(30)])
    assert len(set(colors[:21])) == 21
    assert colors[21] == colors[0]
    assert all(0 <= value <= 1 for color in colors for value in color)


def test_no_organs_have_no_colors():
    assert organ_colors([]) == []
