import io

import numpy as np
import pytest
from PIL import Image

from segment.doctor.contact_sheet import COLUMNS, MARKS, ROWS, Entry, write_sheets
from segment.doctor.thumbnail import HEIGHT, WIDTH, render_thumbnail
from segment.view.colors import organ_colors


def pixels_of(file):
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def near(pixels, color, far=60):
    """Which pixels have about this colour. Smoothing changes their brightness."""
    return np.abs(pixels - 255 * np.array(color)).sum(axis=-1) < far


def box(axes="RAS"):
    """A body of 300 x 200 x 200 mm in 4 mm voxels with a liver on the right and a spleen on the left."""
    hu = np.full((75, 50, 50), -1000, np.int16)
    hu[5:70, 5:45] = 40
    classes = np.zeros(hu.shape, np.uint8)
    classes[45:65, 15:35, 25:40] = 1
    classes[10:20, 15:30, 28:38] = 2
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    if axes == "LAS":
        hu, classes, affine = hu[::-1], classes[::-1], affine @ np.diag([-1.0, 1, 1, 1])
        affine[0, 3] = 74 * 4.0
    return hu, classes, affine


@pytest.mark.parametrize("axes", ["RAS", "LAS"])
def test_the_patients_right_is_on_the_left_of_both_planes(axes):
    pixels = pixels_of(io.BytesIO(render_thumbnail(*box(axes), ["liver", "spleen"])))
    assert pixels.shape == (HEIGHT, 2 * WIDTH, 3)
    liver, spleen = organ_colors(["liver", "spleen"])
    for left in (0, WIDTH):
        panel = pixels[:, left : left + WIDTH]
        for color, side in ((liver, slice(0, WIDTH // 2)), (spleen, slice(WIDTH // 2, None))):
            columns = np.flatnonzero(near(panel, color).any(axis=0))
            assert len(columns) > 5
            assert set(columns) <= set(range(WIDTH)[side])


def test_the_picture_does_not_depend_on_the_stored_orientation():
    assert render_thumbnail(*box("RAS"), ["liver", "spleen"]) == render_thumbnail(*box("LAS"), ["liver", "spleen"])


def test_all_cases_have_the_same_scale():
    """A panel is 420 mm wide, so the liver, 20 voxels of 4 mm, has 57 pixels in both planes."""
    hu, classes, affine = box()
    pixels = pixels_of(io.BytesIO(render_thumbnail(hu, classes, affine, ["liver", "spleen"])))
    for left in (0, WIDTH):
        columns = np.flatnonzero(near(pixels[:, left : left + WIDTH], organ_colors(["liver"])[0]).any(axis=0))
        assert np.ptp(columns) == pytest.approx(80 * WIDTH / 420, abs=3)


def test_planes_go_through_the_organs():
    """A small organ in the corner of a large volume is visible in both planes."""
    hu = np.full((60, 60, 60), 40, np.int16)
    classes = np.zeros(hu.shape, np.uint8)
    classes[3:9, 50:56, 4:10] = 1
    pixels = pixels_of(io.BytesIO(render_thumbnail(hu, classes, np.diag([4.0, 4, 4, 1]), ["liver"])))
    assert near(pixels[:, :WIDTH], organ_colors(["liver"])[0]).any()
    assert near(pixels[:, WIDTH:], organ_colors(["liver"])[0]).any()


def test_a_ct_without_a_label_and_longer_than_a_metre_is_rendered():
    hu = np.full((20, 20, 400), 40, np.int16)
    pixels = pixels_of(io.BytesIO(render_thumbnail(hu, None, np.diag([20.0, 20, 3, 1]), ["liver"])))
    assert (pixels[HEIGHT // 4] == pixels[HEIGHT // 4, WIDTH // 2]).mean() > 0.5  # gray from border to border
    assert not near(pixels, organ_colors(["liver"])[0]).any()


def entry(number, mark):
    return Entry(f"set/case{number}", render_thumbnail(*box(), ["liver", "spleen"]), mark, "something")


def test_frames_have_the_colour_of_the_worst_finding(tmp_path):
    (path,) = write_sheets(tmp_path, [entry(0, "error"), entry(1, None), entry(2, "warning")], ["liver", "spleen"])
    assert path == tmp_path / "sheet.png"
    pixels = pixels_of(path)
    for index, mark in enumerate(("error", None, "warning")):
        frame = pixels[120:, 14 + index * (2 * WIDTH + 20)]  # gap, then tiles of two planes, two frames and a gap
        assert (frame == MARKS[mark]).all(axis=-1).sum() > HEIGHT


def test_many_cases_fill_several_pages(tmp_path):
    entries = [Entry(f"set/{number}", b"", "error", "unreadable") for number in range(COLUMNS * ROWS + 1)]
    paths = write_sheets(tmp_path, entries, ["liver"])
    assert [path.name for path in paths] == ["sheet_01.png", "sheet_02.png"]
    first, second = (pixels_of(path).shape for path in paths)
    assert first[0] > 5 * second[0]
    assert first[1] > second[1]


def test_without_cases_there_is_no_sheet(tmp_path):
    assert write_sheets(tmp_path, [], ["liver"]) == []


def test_long_names_and_long_legends_stay_inside(tmp_path):
    long = Entry("set/" + "x" * 300, b"", None, "y" * 300)
    organs = [f"a_rather_long_name_of_an_organ_{number}" for number in range(20)]
    (path,) = write_sheets(tmp_path, [long], organs)
    pixels = pixels_of(path)
    assert (pixels[:, -10:] == pixels[0, 0]).all() or pixels[:, -10:].max() <= 240  # nothing crosses the border
    assert (pixels[-60:, 2 * WIDTH + 40 :] == pixels[0, 0]).all()
