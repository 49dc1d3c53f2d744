"""The page of a curve: the answer for each organ, the picture, tables, and links to the pages of the trainings."""

import base64
from pathlib import Path

from segment.errors import UserError
from segment.io.json_file import read_json
from segment.view.page.document import PAGE, link_below, write_page
from segment.view.page.scan import Blobs

CURVE = "curve.json"
_KEPT = ("target", "have", "validate", "test", "steps", "organs")


def write_curve_page(path: Path, folder: Path) -> None:
    """Write the page of a curve from the files that `segment curve` wrote.

    Args:
        path: The page.
        folder: Holds curve.json and curve.png.

    Raises:
        UserError: When a file is missing or damaged.
    """
    blobs = Blobs()
    curve = read_json(folder / CURVE)
    title = f"Learning curve {folder.resolve().name}"
    try:
        trainings = curve["trainings"]
        data = {
            "kind": "curve",
            "title": title,
            "subtitle": f"{curve['finished']} of {len(trainings)} trainings have finished",
            "notes": [],
            "figure": blobs.add(base64.b64encode((folder / "curve.png").read_bytes()).decode()),
            "trainings": [
                training | {"page": link_below(path, folder / "trials" / str(training["trial"]) / PAGE)}
                for training in trainings
            ],
            **{key: curve[key] for key in _KEPT},
        }
    except (KeyError, TypeError, OSError) as error:
        msg = f"{folder} lacks a part of a curve ({error}); resume it with segment curve resume={folder}"
        raise UserError(msg) from error
    write_page(path, title, data, blobs.texts)
