"""The organs in 3D in a real browser with WebGL. Every test fails on a console message or a request."""

import io

import browser as chromium
import numpy as np
import pytest
from PIL import Image
from viewed import ORGANS, anatomy, prediction, viewed_scan

from segment.view.colors import organ_colors
from segment.view.page.prediction import PredictionPage

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def browser():
    with chromium.started(webgl=True) as started:
        yield started


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    return prediction(tmp_path_factory.mktemp("page") / "index.html")


def settle(page):
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pixels(page):
    """RGB of the 3D view, (rows, columns, 3), without letters, the mark of the crosshair and the outline of focus."""
    settle(page)
    page.evaluate("document.querySelectorAll('.surfaces .frame span').forEach((one) => { one.hidden = true; })")
    with Image.open(io.BytesIO(page.locator(".surfaces canvas").screenshot())) as shot:
        return np.asarray(shot.convert("RGB")).astype(int)[8:-8, 8:-8]


def columns_of(picture, organ):
    """Columns of the pixels whose hue is that of an organ."""
    hue = picture / np.maximum(picture.sum(axis=2, keepdims=True), 1)
    color = np.array(organ_colors(ORGANS)[organ])
    near = np.abs(hue - color / color.sum()).sum(axis=2) < 0.15
    return np.nonzero(near & (picture.max(axis=2) > 70))[1]


def test_the_right_of_the_patient_is_on_the_left_and_turning_shows_the_back(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        assert page.locator(".turntable").count() == 0
        middle = page.locator(".surfaces canvas").bounding_box()["width"] / 2
        front = pixels(page)
        # The spleen is behind the liver's level on the left; both are on their own side.
        assert columns_of(front, 0).mean() < middle < columns_of(front, 1).mean()
        page.locator(".surfaces canvas").focus()
        for _ in range(18):  # half a turn
            page.keyboard.press("ArrowRight")
        back = pixels(page)
        assert columns_of(back, 1).mean() < middle < columns_of(back, 0).mean()
        page.keyboard.press("0")
        np.testing.assert_allclose(pixels(page), front, atol=3)  # the background is dithered


def test_the_print_shows_the_organs(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        settle(page)
        (picture,) = (one for one in chromium.printed_pictures(page) if len(columns_of(one, 0)) > 5000)
        assert columns_of(picture, 0).mean() < columns_of(picture, 1).mean()
        page.locator(".surfaces canvas").focus()
        for _ in range(18):  # half a turn, which the print shows, too
            page.keyboard.press("ArrowRight")
        settle(page)
        (back,) = (one for one in chromium.printed_pictures(page) if len(columns_of(one, 0)) > 5000)
        assert columns_of(back, 1).mean() < columns_of(back, 0).mean()


def test_a_drag_turns_and_the_letters_turn_with_it(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        letters = page.locator(".surfaces .letter")
        settle(page)
        assert [letters.nth(i).text_content() for i in range(6)] == list("RLISPA")
        assert letters.nth(0).bounding_box()["x"] < letters.nth(1).bounding_box()["x"]
        assert letters.nth(2).bounding_box()["y"] > letters.nth(3).bounding_box()["y"]
        assert not letters.nth(5).is_visible()  # A is in the middle, where P is, too
        canvas = page.locator(".surfaces canvas")
        canvas.hover()  # scrolls to it
        box = canvas.bounding_box()
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2, steps=3)
        page.mouse.up()
        settle(page)
        # A quarter of a turn to the right: the front is on the right of the picture, and R is near.
        assert letters.nth(5).bounding_box()["x"] > letters.nth(4).bounding_box()["x"]
        assert not letters.nth(0).is_visible()


def test_organs_that_are_switched_off_vanish(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        assert len(columns_of(pixels(page), 0)) > 500
        page.get_by_role("group", name="organs").get_by_role("checkbox", name="liver").uncheck()
        assert len(columns_of(pixels(page), 0)) == 0
        assert len(columns_of(pixels(page), 1)) > 100


def test_the_liver_is_opaque_on_demand(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        clear = pixels(page)
        page.get_by_role("checkbox", name="see through the liver").uncheck()
        opaque = pixels(page)
        middle = int(np.median(columns_of(opaque, 0)))
        row = opaque.shape[0] // 2
        assert opaque[row, middle, 0] > clear[row, middle, 0] + 25


def test_wheel_buttons_and_keys_zoom(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        canvas = page.locator(".surfaces canvas")
        start = len(columns_of(pixels(page), 0))
        canvas.hover()
        page.mouse.wheel(0, -100)
        wheel = len(columns_of(pixels(page), 0))
        page.get_by_role("button", name="zoom in").click()
        assert start * 1.15 < wheel < len(columns_of(pixels(page), 0))
        page.get_by_role("button", name="reset zoom").click()
        assert len(columns_of(pixels(page), 0)) == pytest.approx(start, rel=0.02)


def test_two_fingers_enlarge(browser, page_file):
    with chromium.opened(browser, page_file, has_touch=True) as page:
        start = len(columns_of(pixels(page), 0))
        page.evaluate("""() => {
          const canvas = document.querySelector('.surfaces canvas');
          canvas.setPointerCapture = () => {};
          const { left, top, width, height } = canvas.getBoundingClientRect();
          const fire = (kind, pointerId, x) => canvas.dispatchEvent(new PointerEvent(kind, {
            pointerId, pointerType: 'touch', clientX: left + width * x, clientY: top + height / 2, buttons: 1 }));
          fire('pointerdown', 1, 0.45); fire('pointerdown', 2, 0.55);
          fire('pointermove', 1, 0.4); fire('pointermove', 2, 0.6);
          fire('pointerup', 1, 0.4); fire('pointerup', 2, 0.6);
        }""")
        assert len(columns_of(pixels(page), 0)) > 1.5 * start


def test_the_mark_of_the_crosshair_is_inside_the_organ_under_it(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        settle(page)
        place = page.locator(".surfaces .cross-mark").bounding_box()
        letters = page.locator(".surfaces .letter")
        right, left = letters.nth(0).bounding_box()["x"], letters.nth(1).bounding_box()["x"]
        # The crosshair starts in the middle of both organs, nearer to the liver, which is larger.
        assert right < place["x"] < (right + left) / 2
        page.get_by_role("checkbox", name="crosshair").uncheck()
        settle(page)
        assert not page.locator(".surfaces .cross-mark").is_visible()


def test_pictures_replace_the_surfaces_when_the_graphics_card_is_lost(browser, page_file):
    with chromium.opened(browser, page_file) as page:
        page.locator(".surfaces canvas").evaluate(
            "(canvas) => canvas.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
        )
        page.wait_for_selector(".turntable")
        assert page.locator(".surfaces").count() == 0
        assert "The graphics card has dropped this page" in page.locator(".viewer > .faint").text_content()


def test_a_driver_without_shaders_leaves_pictures_and_the_reason(browser, page_file):
    broken = """WebGL2RenderingContext.prototype.getProgramParameter = () => false;
      WebGL2RenderingContext.prototype.getProgramInfoLog = () => 'out of registers';"""
    with chromium.opened(browser, page_file, script=broken) as page:
        assert page.locator(".turntable").count() == 1
        assert "does not work in this browser (out of registers)" in page.locator(".viewer > .faint").text_content()


def test_every_case_that_is_opened_gives_its_context_back(browser, tmp_path):
    """Browsers keep 16 contexts and complain about more."""
    made = PredictionPage(ORGANS, anatomy(), max_mb=100)
    scan, mask, _ = viewed_scan()
    for name in ("first", "second"):
        made.add(name, scan, mask)
    made.max_mb = 0
    made.add("listed", scan, mask)
    made.write(tmp_path / "x.html", "t", "s")
    with chromium.opened(browser, tmp_path / "x.html") as page:
        for turn in range(20):
            page.get_by_role("button", name=("second", "first")[turn % 2]).click()
            page.wait_for_selector(".surfaces canvas")
        for name in ("listed", "second", "listed", "first"):
            page.get_by_role("button", name=name).click()
        page.wait_for_selector(".surfaces canvas")
        assert len(columns_of(pixels(page), 0)) > 500
        # A case whose scan is still being read when one without a scan is chosen.
        page.evaluate("""() => {
          const buttons = [...document.querySelectorAll('.cases button')];
          for (const name of ['second', 'listed']) buttons.find((one) => one.textContent.includes(name)).click();
        }""")
        page.wait_for_timeout(500)
        assert page.evaluate("document.querySelector('.case').viewer === null")
