"""The page of a ranking: the CTs to annotate, in order, each with a picture and the reasons for its place."""

import base64
from pathlib import Path

from segment.errors import UserError
from segment.io.json_file import read_json
from segment.view.page.document import write_page
from segment.view.page.prediction import organ_entries
from segment.view.page.scan import Blobs

RANK = "rank"  # of rank.csv and rank.json
PICTURES = "pictures"
_SHOWN = 300  # CTs with a picture, so that the page stays below about 10 MB


def write_rank_page(path: Path, folder: Path) -> None:
    """Write the page of a ranking from the files that `segment curve rank=` wrote.

    Args:
        path: The page.
        folder: Holds rank.json and the pictures.

    Raises:
        UserError: When a file is missing or damaged.
    """
    blobs = Blobs()
    ranking = read_json(folder / f"{RANK}.json")
    title = f"Ranking {folder.resolve().name}"
    try:
        cts = []
        for one in ranking["cts"]:
            picture = None
            if one["position"] <= _SHOWN:
                content = (folder / PICTURES / Path(one["picture"]).name).read_bytes()
                picture = blobs.add(base64.b64encode(content).decode())
            cts.append(one | {"picture": picture})
        data = {
            "kind": "rank",
            "title": title,
            "subtitle": f"{len(cts)} CT{'s' * (len(cts) != 1)} without label, the one to annotate first on top",
            "notes": ranking["notes"],
            "sentences": ranking["sentences"],
            "organs": organ_entries(ranking["organs"]),
            "has_labelled": ranking["labelled"] > 0,
            "cts": cts,
        }
    except (KeyError, TypeError, OSError) as error:
        msg = f"{folder} lacks a part of a ranking ({error}); run segment curve rank=<folder> again"
        raise UserError(msg) from error
    write_page(path, title, data, blobs.texts)
