import pytest

from segment.view.layout import MIN_HEIGHT, WIDTH, arrange


def area(places):
    return sum(place.width * place.height for place in places)


def overlaps(one, other):
    apart = one.left >= other.left + other.width or other.left >= one.left + one.width
    return not (apart or one.top >= other.bottom or other.top >= one.bottom)


@pytest.mark.parametrize(
    "size_mm",
    [(360, 360, 330), (360, 360, 60), (360, 360, 5), (120, 360, 360), (360, 120, 300), (1, 1, 400), (500, 2, 1)],
)
def test_planes_lie_on_the_page_beside_each_other_in_one_scale(size_mm):
    places = arrange(size_mm)
    assert [place.axis for place in places][:3] == [2, 1, 0]
    scale = places[0].width / size_mm[0]
    for number, place in enumerate(places):
        assert place.left > 0
        assert place.left + place.width <= WIDTH
        assert place.bottom <= 6.3
        assert not any(overlaps(place, other) for other in places[:number])
        if not place.is_enlarged:
            first, second = (length for axis, length in enumerate(size_mm) if axis != place.axis)
            assert (place.width, place.height) == pytest.approx((scale * first, scale * second))


def test_the_planes_of_a_usual_scan_are_side_by_side():
    assert {place.top for place in arrange((360, 360, 330))} == {0.0}


@pytest.mark.parametrize("high", [5, 30, 60, 120])
def test_a_thin_stack_fills_the_page(high):
    places = arrange((360, 360, high))
    page = WIDTH * max(place.bottom for place in places)
    assert area(places) > 0.75 * page
    assert places[0].height > 6
    assert places[-1].is_enlarged == (high < 100)
    assert places[-1].height > MIN_HEIGHT
