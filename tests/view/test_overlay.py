from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from segment.view.colors import organ_colors
from segment.view.overlay import _caption, write_overlay
from segment.view.panel import position
from segment.view.scene import make_scene

ORGANS = ["right_organ", "left_organ"]
# Upper and lower end of the planes of each row, below its caption, as shares of the page.
FIRST_ROW, SECOND_ROW = (0.085, 0.52), (0.556, 0.99)


def picture(path: Path, case, organs=ORGANS, reference=None, title="") -> np.ndarray:
    ct, mask, affine = case
    write_overlay(path, ct, mask, affine, organs, reference=reference, title=title)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file is left
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def contour(page: np.ndarray, organ: int, top: float, bottom: float, left: float, right: float):
    """Rows and columns of the pixels with an organ's colour, in a part of the page given by shares of its size."""
    color = np.round(255 * np.array(organ_colors(ORGANS)[organ]))
    height, width = page.shape[:2]
    part = page[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
    rows, columns = np.nonzero(np.abs(part - color).sum(axis=2) < 30)
    return rows + int(top * height), columns + int(left * width)


@pytest.mark.parametrize("axes", ["LPS", "LAS", "PIR", "SRA", "ILA", "AIL"])
def test_the_page_does_not_depend_on_the_stored_orientation(tmp_path, stored, axes):
    upright = picture(tmp_path / "a" / "overlay.png", stored("RAS"), title="case")
    np.testing.assert_array_equal(picture(tmp_path / "b" / "overlay.png", stored(axes), title="case"), upright)


def test_the_patients_right_is_on_the_left_and_front_and_head_are_at_the_top(tmp_path, stored):
    # The page is (40·2 + 40·2 + 24·3) mm wide. Its first row shows the right organ, its second row the left one.
    page = picture(tmp_path / "overlay.png", stored("LPS"))
    axial, coronal = 80 / 232, 160 / 232
    right = contour(page, 0, *FIRST_ROW, 0, axial)
    assert right[1].mean() < axial / 2 * page.shape[1]
    low = contour(page, 0, *FIRST_ROW, axial, coronal)
    high = contour(page, 1, *SECOND_ROW, axial, coronal)
    assert low[1].mean() < (axial + coronal) / 2 * page.shape[1] < high[1].mean()
    assert low[0].mean() - FIRST_ROW[0] * page.shape[0] > high[0].mean() - SECOND_ROW[0] * page.shape[0]


def test_the_scale_is_the_same_in_all_directions(tmp_path, stored):
    page = picture(tmp_path / "overlay.png", stored("LPS"))
    rows, columns = contour(page, 0, *FIRST_ROW, 0, 80 / 232)  # 10 voxels of 2 mm by 6 of 3 mm
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(20 / 18, abs=0.05)
    rows, columns = contour(page, 0, *FIRST_ROW, 80 / 232, 160 / 232)  # 10 of 2 mm by 5 of 5 mm
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(20 / 25, abs=0.05)


def test_an_absent_organ_has_a_line_of_text_instead_of_planes(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    full = picture(tmp_path / "a" / "overlay.png", (ct, mask, affine))
    absent = picture(tmp_path / "b" / "overlay.png", (ct, mask * (mask == 1), affine))
    empty = picture(tmp_path / "c" / "overlay.png", (ct, mask * 0, affine), reference=mask * 0)
    assert empty.shape[0] < absent.shape[0] < full.shape[0]


def test_a_missed_organ_shows_its_reference(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    page = picture(tmp_path / "a" / "overlay.png", (ct, mask * 0, affine), reference=mask)
    assert page.shape == picture(tmp_path / "b" / "overlay.png", (ct, mask, affine)).shape
    assert len(contour(page, 0, *FIRST_ROW, 0, 1)[0]) == 0


def test_an_organ_that_fills_the_scan_and_names_with_dollar_signs(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    picture(tmp_path / "overlay.png", (ct, mask * 0 + 1, affine), organs=["a$_b$", "c"], title=r"$\frac$")


def test_nan_is_black(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    picture(tmp_path / "overlay.png", (np.where(mask > 0, np.nan, ct), mask, affine))


def test_the_settings_of_matplotlib_do_not_change(tmp_path, stored):
    before = mpl.rcParams.copy(), mpl.get_backend(auto_select=False)
    picture(tmp_path / "overlay.png", stored("RAS"))
    assert (mpl.rcParams.copy(), mpl.get_backend(auto_select=False)) == before


def test_arrays_that_do_not_fit_together_are_refused(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    with pytest.raises(
        ValueError, match=r"reference must have the CT's shape \(I,J,K\) \(40, 24, 16\), got \(40, 24, 15\)"
    ):
        write_overlay(tmp_path / "overlay.png", ct, mask, affine, ORGANS, reference=mask[..., 1:])
    with pytest.raises(ValueError, match="pred holds class 2, but only 1 organs are named"):
        write_overlay(tmp_path / "overlay.png", ct, mask, affine, ["one"])
    with pytest.raises(ValueError, match="window_hu must go from low to high"):
        write_overlay(tmp_path / "overlay.png", ct, mask, affine, ORGANS, window_hu=(240, -160))
    assert not list(tmp_path.iterdir())


def test_an_organ_that_is_not_annotated_has_no_dice():
    mask = np.zeros((6, 6, 6), np.uint8)
    mask[2:4, 2:4, 2:4] = 1
    scene = make_scene(mask.astype(np.int16), mask, np.zeros_like(mask), np.eye(4), ["spleen"], (-160, 240))
    assert _caption(scene, "spleen", 1, [True, False]) == "spleen    prediction 0.0 mL    not annotated"
    assert "Dice 0.000    absent from the reference" in _caption(scene, "spleen", 1, None)


@pytest.mark.parametrize(
    ("sides", "mm", "text"),
    [("RL", -79.4, "L 79 mm"), ("RL", 79.4, "R 79 mm"), ("AP", -1.0, "P 1 mm"), ("SI", -0.4, "S 0 mm")],
)
def test_a_position_has_the_letter_of_its_side_instead_of_a_sign(sides, mm, text):
    assert position(sides, mm) == text


def texts(monkeypatch, tmp_path, shape, **options):
    """Boxes in pixels (left, bottom, right, top) of all texts of a page, and its size."""
    figures = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **more: figures.append(self) or savefig(self, *args, **more)
    )
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(n // 3, max(n // 3 + 1, n // 2)) for n in shape)] = 1
    affine = np.diag((4.0, 4.0, 4.0, 1.0))
    write_overlay(tmp_path / "overlay.png", mask * 100, mask, affine, ["organ"], reference=mask, **options)
    (figure,) = figures
    found = [*figure.texts, *figure.legends[0].get_texts(), *(text for axes in figure.axes for text in axes.texts)]
    return [text.get_window_extent().extents for text in found], figure.get_size_inches() * figure.dpi


@pytest.mark.parametrize(
    ("shape", "title"),
    [
        ((100, 100, 80), "case"),
        ((100, 100, 12), "x" * 300),  # a thin stack
        ((100, 100, 2), "two\nlines"),
        ((25, 100, 60), "narrow"),
        ((100, 25, 60), ""),
        ((12, 100, 100), "sagittal slices"),
    ],
)
def test_texts_collide_neither_with_each_other_nor_with_the_end_of_the_page(tmp_path, monkeypatch, shape, title):
    boxes, (width, height) = texts(monkeypatch, tmp_path, shape, title=title)
    for number, (left, bottom, right, top) in enumerate(boxes):
        assert (left > -1 and bottom > -1 and right < width + 1 and top < height + 1) or left == right
        for other in boxes[:number]:
            apart = left >= other[2] or right <= other[0] or bottom >= other[3] or top <= other[1]
            assert apart, (boxes[number], other)


def test_a_thin_stack_has_a_large_axial_plane_low_strips_with_text_below_and_the_organ_enlarged(tmp_path):
    """Four slices of 2 mm, 200 mm wide."""
    ct = np.full((100, 100, 4), 1000, np.int16)
    affine = np.diag((2.0, 2.0, 2.0, 1.0))
    mask = np.zeros(ct.shape, np.uint8)
    mask[40:60, 40:60, 1:3] = 1
    page = picture(tmp_path / "overlay.png", (ct, mask, affine), organs=["organ"])
    right = page[:, page.shape[1] // 2 + 10 :].min(axis=2)
    white = (right > 250).mean(axis=1) > 0.5
    starts, ends = (np.flatnonzero(np.diff(white.astype(int)) == step) for step in (1, -1))
    assert 3 <= len(starts) <= 7  # two strips and the enlarged organ; contours may divide each of them
    first = right[starts[0] + 3 : ends[0] - 2]
    assert (first > 200).mean() > 0.85  # letters would have black outlines
    assert (right[ends[0] + 3 : ends[0] + 30] > 150).any()  # the text of the strip
    color = np.round(255 * np.array(organ_colors(["organ"])[0]))
    rows, columns = np.nonzero(np.abs(page - color).sum(axis=2) < 30)
    axial, enlarged = (
        np.ptp(rows[part & (rows > 120)]) for part in (columns < right.shape[1], columns > right.shape[1])
    )
    assert enlarged > 2 * axial


def test_the_window_and_a_scale_bar_are_on_the_page(tmp_path, stored):
    page = picture(tmp_path / "a" / "overlay.png", stored("RAS"))
    other = tmp_path / "b" / "overlay.png"
    write_overlay(other, *stored("RAS"), ORGANS, window_hu=(-1000, 500))
    changed = np.abs(np.asarray(Image.open(other).convert("RGB")).astype(int) - page)[: int(0.04 * page.shape[0])]
    assert changed.max() > 100  # the window is stated in the header
    # 80 mm of the axial plane are 80/232 of the page without its gaps; the bar is 20 mm long.
    row = page[: int(FIRST_ROW[1] * page.shape[0]), : int(80 / 232 * page.shape[1])].min(axis=2) > 240
    longest = max(len(run) for line in row for run in "".join("x" if on else " " for on in line).split())
    assert longest == pytest.approx(20 / 232 * 12.6 * 125, abs=5)
