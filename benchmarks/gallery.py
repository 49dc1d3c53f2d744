"""The pictures of the documentation, from folders that `segment` wrote: each at most 300 kB.

    segment predict input=<CT of data=lidc> output=masks
    segment train hydra.run.dir=train
    segment sweep sweep=smoke trials=6 hydra.run.dir=search
    segment train -m experiment=smoke trainer.max_epochs=6 data.patches_per_epoch=16 optimizer.lr=1e-2,1e-3 seed=0,1
    mv outputs/smoke/sweeps/* grid
    segment compare grid output=comparison
    segment doctor data=phantom_small hydra.run.dir=data_set
    python benchmarks/gallery.py docs/images masks train search comparison data_set

Each folder becomes `<its name>.jpg`, a screenshot of its page in a headless Chromium; one of predictions also becomes
`surfaces.jpg` (the 3D view of the page), `overlay.jpg`, `video.jpg` and `turntable.gif`, a run also `curves.jpg`. Only
CTs that may be published belong here: synthetic ones, and that of LIDC-IDRI (CC BY 3.0).
"""

import argparse
import io
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageSequence
from playwright.sync_api import Browser, sync_playwright

from segment.view.turntable_gif import write_gif

WINDOW = {"width": 1400, "height": 1500}  # of the browser, in pixels
WIDTH = 1200  # of a picture, in pixels
MAX_BYTES = 300_000
SURFACES = ".surfaces .frame"  # the 3D view of a page
SWIFTSHADER = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # WebGL on a processor
VIDEO_SHARE = 0.94  # of a video, where its frame is taken: the organs have turned, the slice shows the kidneys


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    args = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        parser.error("there is no chromium; apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for folder in args.folders:
            _save(_screenshot(browser, folder / "index.html"), args.output / f"{folder.resolve().name}.jpg")
        browser.close()
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", *SWIFTSHADER])
        for folder in args.folders:
            if any(folder.glob("*_organs.mp4")):
                _save(_surfaces(browser, folder / "index.html"), args.output / "surfaces.jpg")
    for folder in args.folders:
        _save_pictures(folder, args.output)


def _screenshot(browser: Browser, page: Path) -> Image.Image:
    """The top of a page once it is ready."""
    tab = browser.new_page(viewport=WINDOW, color_scheme="light")
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready]", timeout=60_000)
    height = min(WINDOW["height"], tab.evaluate("document.body.scrollHeight"))
    return Image.open(io.BytesIO(tab.screenshot(clip={"x": 0, "y": 0, "width": WINDOW["width"], "height": height})))


def _surfaces(browser: Browser, page: Path) -> Image.Image:
    """The organs in 3D on the page of a prediction."""
    tab = browser.new_page(viewport=WINDOW, device_scale_factor=1.5)
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready]", timeout=60_000)
    tab.get_by_role("checkbox", name="crosshair").uncheck()
    tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return Image.open(io.BytesIO(tab.locator(SURFACES).screenshot()))


def _save_pictures(folder: Path, output: Path) -> None:
    """Save what a folder holds beside its page."""
    for pattern, name in (("*_overlay.png", "overlay"), ("curves.png", "curves")):
        for path in sorted(folder.glob(pattern))[:1]:
            _save(Image.open(path), output / f"{name}.jpg")
    for path in sorted(folder.glob("*_organs.mp4"))[:1]:
        frames = iio.imread(path)
        _save(Image.fromarray(frames[round(VIDEO_SHARE * len(frames))]), output / "video.jpg")
    for path in sorted(folder.glob("*_turntable.gif"))[:1]:
        _save_gif(path, output / "turntable.gif")


def _save_gif(source: Path, path: Path) -> None:
    """Save a GIF of the turning organs again, in the largest size that keeps it below `MAX_BYTES`.

    Raises:
        ValueError: When even the smallest size is larger.
    """
    with Image.open(source) as gif:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(gif)]
    for width in range(frames[0].width, 159, -20):
        size = (width, round(frames[0].height * width / frames[0].width))
        write_gif(path, [np.asarray(frame.resize(size, Image.Resampling.LANCZOS)) for frame in frames])
        if path.stat().st_size <= MAX_BYTES:
            print(f"{path}: {size[0]}x{size[1]}, {len(frames)} frames, {path.stat().st_size // 1000} kB")
            return
    path.unlink()
    msg = f"{path} has more than {MAX_BYTES} bytes; make it smaller"
    raise ValueError(msg)


def _save(image: Image.Image, path: Path) -> None:
    """Save as JPEG, no wider than `WIDTH`, in the best quality that keeps it below `MAX_BYTES`.

    Raises:
        ValueError: When even the lowest quality is larger.
    """
    image = image.convert("RGB")
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    for quality in range(90, 39, -5):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= MAX_BYTES:
            path.write_bytes(file.getvalue())
            print(f"{path}: {image.width}x{image.height}, {file.tell() // 1000} kB, quality {quality}")
            return
    msg = f"{path} has more than {MAX_BYTES} bytes; make it smaller"
    raise ValueError(msg)


if __name__ == "__main__":
    main()
