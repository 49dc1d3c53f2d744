"""Pages in a real browser, from file:// and without WebGL. Every test fails on a console message or a request."""

import browser as chromium
import numpy as np
import pytest
from PIL import Image
from run_folders import write_run
from viewed import ORGANS, anatomy, prediction, viewed_scan

from segment.view.colors import organ_colors
from segment.view.page.prediction import PredictionPage
from segment.view.page.run import write_run_page

pytestmark = pytest.mark.xdist_group("browser")

HOSTILE = ["<script>alert(1)</script>", "x" * 300, "\u202eכבד مريض", "🫁 <img src=x onerror=alert(2)>"]
# A pixel of a canvas, at shares of its width and height.
PIXEL = """([index, x, y]) => {
  const canvas = document.querySelectorAll('.plane canvas')[index];
  const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1];
  return [...canvas.getContext('2d').getImageData(...at).data].slice(0, 3);
}"""
# How many pixels of the first canvas have a colour.
COUNT = """(color) => {
  const canvas = document.querySelector('.plane canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (color.every((value, channel) => Math.abs(value - data[i + channel]) < 4)) found += 1;
  }
  return found;
}"""
NO_STREAM = "delete globalThis.DecompressionStream;"


@pytest.fixture(scope="module")
def browser():
    with chromium.started() as started:
        yield started


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    return prediction(tmp_path_factory.mktemp("page") / "index.html")


def hide_lines(page):
    for label in ("prediction (solid)", "reference (white, dashed)", "crosshair"):
        page.get_by_role("checkbox", name=label).uncheck()
    settle(page)


def settle(page):
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_right_of_the_patient_is_on_the_left_in_true_proportions(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        hide_lines(page)
        letters = page.locator(".plane").nth(0).locator(".letter").all_text_contents()
        assert letters == ["R", "L", "A", "P"]
        # The axial plane is 96 x 80 mm in a canvas that is wider; the liver is 12 to 40 mm from its left end.
        box = page.locator(".plane canvas").nth(0).bounding_box()
        scale = min(box["width"] / 96, box["height"] / 80)
        left, top = (box["width"] - 96 * scale) / 2, (box["height"] - 80 * scale) / 2

        def gray(x_mm, y_mm):
            place = [0, (left + x_mm * scale) / box["width"], (top + y_mm * scale) / box["height"]]
            red, green, blue = page.evaluate(PIXEL, place)
            assert red == green == blue
            return red

        # 100 HU in the window from -160 to 240; rows 16 to 32 from the back are 16 to 48 mm from the front.
        for x_mm, y_mm in ((10, 18), (38, 46)):
            assert gray(x_mm, y_mm) == pytest.approx(255 * 260 / 400, abs=2)
        for x_mm, y_mm in ((44, 30), (60, 30), (20, 12), (20, 52)):
            assert gray(x_mm, y_mm) == pytest.approx(255 * 110 / 400, abs=2)


@pytest.mark.parametrize("codes", ["LPS", "SAR", "PIL"])
def test_every_order_of_axes_gives_the_same_pictures(browser, page_file, tmp_path, codes):
    shots = []
    for path in (page_file, prediction(tmp_path / "x.html", codes)):
        with chromium.opened(browser, path) as page:
            settle(page)
            shots.append([page.locator(".plane canvas").nth(index).screenshot() for index in range(4)])
            shots[-1].append(page.locator(".readout").text_content())
    assert shots[0] == shots[1]


def test_the_browser_without_decompression_shows_the_same(browser, page_file):
    texts = []
    for script in (None, NO_STREAM):
        with chromium.opened(browser, page_file, script=script) as page:
            settle(page)
            texts.append((page.locator(".readout").text_content(), page.locator(".plane canvas").nth(0).screenshot()))
    assert texts[0] == texts[1]


def test_the_crosshair_states_hu_organ_and_position(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        canvas = page.locator(".plane canvas").nth(0)
        box = canvas.bounding_box()
        scale = min(box["width"] / 96, box["height"] / 80)
        # 20 mm from the right end and 30 mm from the front end of the scan: voxel (37, 24) of the RAS+ grid.
        canvas.click(position={"x": box["width"] / 2 - (48 - 21) * scale, "y": box["height"] / 2 - (40 - 31) * scale})
        settle(page)
        words = page.locator(".readout").text_content()
        assert "100 HU" in words or "101 HU" in words
        assert "R 74 mm, A 48 mm, S " in words
        assert "prediction: liver · reference: liver" in words


def test_wheel_slider_and_keys_change_slices(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        canvas, position = page.locator(".plane canvas").nth(0), page.locator(".position").nth(0)

        def shown():
            settle(page)
            return int(position.text_content().split("slice ")[1].split(" ")[0])

        start = shown()
        canvas.hover()
        page.mouse.wheel(0, 100)
        assert shown() == start + 1
        canvas.focus()
        page.keyboard.press("PageUp")
        page.keyboard.press("PageUp")
        assert shown() == start - 1
        page.locator(".plane input").nth(0).fill("2")
        assert shown() == 3
        for _ in range(5):
            page.keyboard.press("PageUp")
        page.locator(".plane canvas").nth(1).focus()
        before = page.locator(".position").nth(0).text_content()
        page.keyboard.press("ArrowDown")
        settle(page)
        assert page.locator(".position").nth(0).text_content() != before


def test_the_worst_slices_come_first_and_a_click_shows_one(browser, tmp_path):
    scan, mask, reference = viewed_scan()
    reference = mask.copy()
    reference[28:34, 16:32, 9] = 0  # 6 x 16 voxels of the liver, of 4 mm² each, in the tenth slice from below
    reference[0:2, 0:2, 11] = 2
    made = PredictionPage(ORGANS, anatomy(), max_mb=100)
    made.add("ct", scan, mask, reference)
    made.write(tmp_path / "x.html", "t", "s")
    with chromium.opened(browser, tmp_path / "x.html") as page:
        buttons = page.get_by_role("group", name="worst slices").get_by_role("button")
        assert [text.split(": ")[1] for text in buttons.all_text_contents()] == ["3.8 cm², liver", "0.16 cm², spleen"]
        buttons.nth(0).click()
        settle(page)
        assert "(slice 11 of 20)" in page.locator(".position").nth(0).text_content()  # from the head
        assert buttons.nth(0).text_content().split(":")[0] in page.locator(".position").nth(0).text_content()


def test_windows_change_the_grays(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        hide_lines(page)
        middle = [0, 0.5, 0.5]
        soft = page.evaluate(PIXEL, middle)
        page.get_by_role("button", name="lung").click()
        settle(page)
        assert page.evaluate(PIXEL, middle)[0] > soft[0]
        page.locator(".plane canvas").nth(0).focus()
        page.keyboard.press("3")
        settle(page)
        assert "window: bone" in page.locator(".readout").text_content()
        assert page.evaluate(PIXEL, middle)[0] < soft[0]


def test_toggles_hide_contours_in_the_colour_of_the_organ(browser, page_file):
    liver = [round(255 * share) for share in organ_colors(ORGANS)[0]]
    with chromium.opened(browser, page_file) as page:
        page.get_by_role("checkbox", name="crosshair").uncheck()
        settle(page)
        assert page.evaluate(COUNT, liver) > 100
        white = page.evaluate(COUNT, [255, 255, 255])
        page.get_by_role("checkbox", name="reference (white, dashed)").uncheck()
        settle(page)
        assert page.evaluate(COUNT, [255, 255, 255]) < white - 100  # the scale bar stays
        page.get_by_role("group", name="organs").get_by_role("checkbox", name="liver").uncheck()
        settle(page)
        assert page.evaluate(COUNT, liver) == 0


def test_zoom_enlarges_around_the_middle_and_comes_back(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        canvas = page.locator(".plane canvas").nth(0)
        canvas.focus()  # its outline is in the picture
        settle(page)
        before = canvas.screenshot()
        page.keyboard.press("+")
        settle(page)
        assert canvas.screenshot() != before
        page.keyboard.press("0")
        settle(page)
        assert canvas.screenshot() == before


def test_the_print_shows_the_pictures_of_the_organs(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        # Chromium prints transparent pixels in white, whatever lies behind the canvas.
        assert page.locator(".turntable canvas").evaluate("""(canvas) => canvas.getContext('2d')
          .getImageData(0, 0, canvas.width, canvas.height).data.every((value, i) => i % 4 < 3 || value === 255)""")
        liver = np.array(organ_colors(ORGANS)[0])
        shares = [one / np.maximum(one.sum(axis=2, keepdims=True), 1) for one in chromium.printed_pictures(page)]
        found = [int((np.abs(share - liver / liver.sum()).sum(axis=2) < 0.15).sum()) for share in shares]
        assert max(found) > 2000  # the contours in the slices have less


def test_without_webgl_there_are_pictures_that_turn_and_a_reason(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        assert "This browser has no WebGL 2" in page.locator(".viewer > .faint").text_content()
        assert page.locator(".surfaces").count() == 0
        canvas = page.locator(".turntable canvas")
        front = canvas.screenshot()
        box = canvas.bounding_box()
        canvas.hover()
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
        page.mouse.up()
        assert int(page.locator(".turntable input").input_value()) == 9
        assert canvas.screenshot() != front
        canvas.focus()
        for _ in range(9):
            page.keyboard.press("ArrowLeft")
        assert page.locator(".turntable input").input_value() == "0"


def test_hostile_names_are_text(browser, tmp_path):
    for index, text in enumerate(HOSTILE):
        path = prediction(tmp_path / f"{index}.html", name=text, organs=[text, "spleen"], with_reference=False)
        with chromium.opened(browser, path, viewport={"width": 390, "height": 800}) as page:
            assert page.locator("h2 .name").text_content() == text
            assert page.locator(".organs .name").nth(0).text_content() == text
            # The data, the script, two volumes, the sheet of pictures, and two lists for the surface of each organ.
            assert page.locator("script").count() == 9
            assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_mask_without_organs(browser, tmp_path):
    made = PredictionPage(ORGANS, anatomy(), max_mb=100)
    scan, mask, _ = viewed_scan()
    made.add("empty", scan, np.zeros_like(mask))
    made.write(tmp_path / "x.html", "t", "s")
    with chromium.opened(browser, tmp_path / "x.html") as page:
        assert "No organ was found" in page.locator(".none").text_content()
        assert page.locator(".warning").count() == 2


def test_several_cases_are_chosen_and_those_beyond_the_limit_have_their_table(browser, tmp_path):
    made = PredictionPage(ORGANS, anatomy(), max_mb=0.0001)
    scan, mask, _ = viewed_scan()
    for name in ("first", "second"):
        made.add(name, scan, mask)
    made.write(tmp_path / "x.html", "t", "s")
    with chromium.opened(browser, tmp_path / "x.html") as page:
        page.get_by_role("button", name="second").click()
        assert page.locator("h2").text_content() == "second"
        assert "is not in the page" in page.locator(".case .notes").text_content()
        assert page.locator("canvas").count() == 0


@pytest.mark.parametrize(("scheme", "light"), [("dark", False), ("light", True)])
def test_dark_and_light(browser, page_file, scheme, light):
    with chromium.opened(browser, page_file, color_scheme=scheme) as page:
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(color.split("(")[1].split(",")[0]) > 128) is light


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    dice = {"liver": np.linspace(0.9, 0.4, 120), "spleen": np.full(120, 0.8)}
    cases = [f"set/c{number:03d}" for number in range(119)] + [HOSTILE[0]]
    write_run(folder, cases, dice, ["set/t"])
    (folder / "metrics.csv").write_text(
        "step,train/loss,val/dice/liver,train/lr\n0,2,,0.1\n1,1,0.5,0.1\n2,0.5,0.7,0.05\n"
    )
    picture = folder / "cases" / HOSTILE[0].replace("/", "-") / "overlay.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (300, 200), (200, 0, 0)).save(picture)
    write_run_page(folder / "index.html", folder, {"seed": 1, "task": "t"})
    return folder / "index.html"


def test_a_click_on_a_dot_opens_its_case(browser, run_file):
    with chromium.opened(browser, run_file, ready="page") as page:
        page.locator(".dot[data-case='3']").first.click(force=True)
        assert page.locator(".opened h3").text_content() == "set/c116"
        page.locator(".dot[data-case='0']").first.click(force=True)
        assert page.locator(".opened h3").text_content() == HOSTILE[0]
        assert page.locator(".overlay").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 300


def test_the_worst_cases_come_first_and_all_can_be_shown_and_found(browser, run_file):
    with chromium.opened(browser, run_file, ready="page") as page:
        buttons = page.locator("button.link")
        assert buttons.count() == 50
        assert buttons.nth(1).text_content() == "set/c118"
        page.get_by_role("button", name="show all 120 cases").click()
        assert buttons.count() == 120
        page.get_by_label("find a case").fill("C007")
        assert buttons.all_text_contents() == ["set/c007"]


def test_the_configuration_is_searched_and_shows_differences(browser, run_file):
    with chromium.opened(browser, run_file, ready="page") as page:
        rows = page.locator(".configuration tbody tr")
        keys = page.locator(".configuration tbody td:first-child").all_text_contents()
        assert "seed" in keys
        assert "task" not in keys
        page.get_by_label("only what differs from the default").uncheck()
        page.get_by_label("find a key or value").fill("task")
        assert "t" in rows.nth(0).locator("td").nth(1).text_content()


def test_curves_state_the_values_under_the_pointer(browser, run_file):
    with chromium.opened(browser, run_file, ready="page") as page:
        assert page.locator(".chart figcaption").all_text_contents()[:3] == [
            "Loss",
            "Dice in validation",
            "Learning rate",
        ]
        page.locator(".chart svg[aria-label='Loss']").hover()
        assert "training 1 (step 1)" in page.locator(".chart .readout").nth(0).text_content()
