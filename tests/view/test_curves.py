import numpy as np
from PIL import Image

from segment.view.colors import organ_colors
from segment.view.curves import write_curves


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), int)


def count(pixels, color):
    wanted = np.array([round(255 * share) for share in color])
    return (np.abs(pixels - wanted).max(axis=-1) < 3).sum()


def rendered(folder, columns, row):
    """Pixels of the picture of a run with ten steps; `row` gives the values of a step."""
    rows = "".join(f"{step},{row(step)}\n" for step in range(10))
    (folder / "metrics.csv").write_text(f"step,{columns}\n{rows}")
    assert write_curves(folder / "curves.png", folder)
    return pixels_of(folder / "curves.png")


def test_organs_have_their_colours_and_the_order_of_the_table(tmp_path):
    columns = "train/loss,val/dice/liver,val/dice/spleen"
    pixels = rendered(tmp_path, columns, lambda step: f"{2 - step / 10},{step / 12},{step / 20}")
    liver, spleen, third = organ_colors(["liver", "spleen", "third"])
    assert min(count(pixels, liver), count(pixels, spleen)) > 300
    assert count(pixels, third) == 0


def test_an_organ_without_values_keeps_its_colour(tmp_path):
    """For example, one that no validation case annotates."""
    columns = "val/dice/liver,val/dice/kidney,val/dice/spleen"
    pixels = rendered(tmp_path, columns, lambda step: f"{step / 12},nan,{step / 20}")
    _, kidney, spleen = organ_colors(["liver", "kidney", "spleen"])
    assert (count(pixels, spleen) > 300, count(pixels, kidney)) == (True, 0)


def test_a_single_value_is_a_dot(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,train/lr\n3,0.1\n")
    assert write_curves(tmp_path / "curves.png", tmp_path)
    assert count(pixels_of(tmp_path / "curves.png"), (0, 0x9E / 255, 0x73 / 255)) > 10


def test_without_values_there_is_no_picture(tmp_path):
    assert not write_curves(tmp_path / "curves.png", tmp_path)
    (tmp_path / "metrics.csv").write_text("step,other\n1,2\n")
    assert not write_curves(tmp_path / "curves.png", tmp_path)
    assert not (tmp_path / "curves.png").exists()
