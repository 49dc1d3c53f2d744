"""A headless Chromium that opens pages from files and notes what they request and complain about."""

import re
import shutil
import zlib
from contextlib import contextmanager

import numpy as np
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


# Without a graphics card, WebGL is computed by the processor.
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NO_WEBGL = ("--disable-gpu", "--disable-3d-apis")


@contextmanager
def started(webgl=False):
    """The browser, with or without WebGL; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", *(WEBGL if webgl else NO_WEBGL)]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, ready="viewer", script=None, **options):
    """A page of a file once it is ready; afterwards it must have requested and complained about nothing.

    Args:
        browser: The browser.
        path: The file.
        ready: What the page announces when it is ready; None does not wait.
        script: JavaScript that runs before the page's own.
        options: Options of the browser's context, e.g. the size of the window.
    """
    context = browser.new_context(**options)
    page = context.new_page()
    if script:
        page.add_init_script(script)
    complaints, requests = [], []
    # The tests read pixels back, about which Chromium gives advice on speed.
    advice = ("willReadFrequently", "due to ReadPixels")
    page.on("console", lambda one: any(text in one.text for text in advice) or complaints.append(one.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.resolve().as_uri())
    if ready:
        page.wait_for_selector(f"html[data-ready={ready}]", timeout=60_000)
    yield page
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [path.resolve().as_uri()]


# A picture in a PDF of Chromium: its size, and the number of its compressed bytes.
PICTURE = re.compile(
    rb"<</Type /XObject\n/Subtype /Image\n/Width (\d+)\n/Height (\d+)\n/ColorSpace \[[^>]*?"
    rb"/Filter /FlateDecode\n/Length (\d+)>> stream\n"
)


def printed_pictures(page):
    """RGB of the pictures in the PDF that the page is printed to: a list of (rows, columns, 3)."""
    pdf = page.pdf()
    pictures = []
    for found in PICTURE.finditer(pdf):
        wide, high, length = map(int, found.groups())
        values = zlib.decompress(pdf[found.end() : found.end() + length])
        pictures.append(np.frombuffer(values, np.uint8)[: wide * high * 3].reshape(high, wide, 3).astype(int))
    return pictures
