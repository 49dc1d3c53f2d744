"""The page of a run: curves, scores and pictures of its cases, configuration and provenance."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from segment.configuration.values import flatten
from segment.metrics.definitions import METRICS
from segment.metrics.scores import OrganScore, nan_mean
from segment.view.page.document import PAGE, link_below, write_page
from segment.view.page.grid_folder import MULTIRUN
from segment.view.page.prediction import organ_entries
from segment.view.page.run_folder import (
    forecast,
    provenance,
    read_config,
    read_confusion,
    read_curves,
    read_environment,
    read_scores,
)
from segment.view.page.scan import Blobs
from segment.view.page.sweep_folder import SEARCH, TRIALS

_PICTURES = 24  # of the worst cases; more would make the page slow to write and to open
_PICTURE_WIDTH = 1300  # pixels
_QUALITY = 80  # of WebP
_WORDS = {"test": "Means over the test cases, on their own grids.", "validation": "Means over the validation cases."}


def write_run_page(path: Path, folder: Path, default: Mapping[str, Any]) -> None:
    """Write the page of a training or an evaluation.

    Args:
        path: The page.
        folder: The run folder. Files that it lacks are left out of the page.
        default: The configuration of the same command without overrides, resolved.

    Raises:
        UserError: When a file of the folder is damaged.
    """
    config, environment = read_config(folder), read_environment(folder)
    curves, blobs = read_curves(folder), Blobs()
    scores, part = read_scores(folder)
    organs = _organs(config, scores)
    facts, diff = provenance(environment)
    title = f"{config.get('task', 'run')} {folder.resolve().name}"
    data = {
        "kind": "run",
        "title": title,
        "subtitle": _subtitle(config, len(scores), part),
        "sweep": _sweep(folder, path),
        "notes": [] if scores else ["This run has no scores of cases yet."],
        "organs": organ_entries(organs),
        "metrics": [_metric(key) for key in METRICS if _is_measured(key, scores)],
        "summary": _summary(organs, scores),
        "summary_note": _WORDS.get(part, ""),
        "curves": {column: points for column, points in curves.items() if column.startswith(("train/", "val/"))},
        "cases": _cases(folder, path, scores, blobs),
        "confusion": read_confusion(folder),
        "configuration": configuration_rows(config, default) if config else [],
        "configuration_notes": ["An absolute path is shown by its last part."],
        "provenance": [*forecast(folder), *facts],
        "diff": diff,
    }
    write_page(path, title, data, blobs.texts)


def _sweep(folder: Path, page: Path) -> dict[str, str] | None:
    """Name and page of the sweep that a run belongs to.

    None unless the page of the run is in its folder, and the sweep has a page or will have one.
    """
    run = folder.resolve()
    if page.resolve().parent != run:
        return None
    # A job of a grid is in <sweep>/<number>, a trial in <sweep>/trials/<number>, one of its seeds a folder deeper.
    for steps, above in enumerate(run.parents[:3], start=1):
        is_grid = steps == 1
        if any((above / name).exists() for name in ((MULTIRUN,) if is_grid else (TRIALS, SEARCH))):
            # A grid has a page if one of its jobs has one, a search by its own option.
            wanted = read_config(run if is_grid else above).get("page") is True
            return {"name": above.name, "path": f"{'../' * steps}{PAGE}"} if wanted or (above / PAGE).exists() else None
    return None


def configuration_rows(config: Mapping[str, Any], default: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every key of both configurations, in order: its value, the default, and whether they differ, as text."""
    ours, standard = flatten(dict(config)), flatten(dict(default))
    rows = []
    for key in dict.fromkeys((*ours, *standard)):
        value, usual = ours.get(key, _MISSING), standard.get(key, _MISSING)
        rows.append({"key": key, "value": _text(value), "standard": _text(usual), "differs": value != usual})
    return rows


_MISSING = object()


def _text(value: object) -> str:
    if value is _MISSING:
        return "-"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _subtitle(config: Mapping[str, Any], count: int, part: str) -> str:
    what = "Evaluation" if "ckpt" in config else "Training"
    return f"{what}; {count} {part} case{'s' * (count != 1)}" if count else what


def _organs(config: Mapping[str, Any], scores: Mapping[str, Sequence[OrganScore]]) -> list[str]:
    configured = config.get("organs")
    if isinstance(configured, list):
        return list(map(str, configured))
    return list(dict.fromkeys(score.organ for rows in scores.values() for score in rows))


def _is_measured(key: str, scores: Mapping[str, Sequence[OrganScore]]) -> bool:
    """Whether any case has the metric; a validation during training measures only Dice, for example."""
    return any(math.isfinite(getattr(score, key)) for case in scores.values() for score in case)


def _metric(key: str) -> dict[str, Any]:
    metric = METRICS[key]
    high = metric.bounds[1]
    return {"key": key, "title": metric.title, "digits": metric.digits, "high": high if math.isfinite(high) else None}


def _summary(organs: Sequence[str], scores: Mapping[str, Sequence[OrganScore]]) -> list[dict[str, Any]]:
    rows = []
    for organ in organs:
        own = [score for case in scores.values() for score in case if score.organ == organ]
        dice = [score.dice for score in own if math.isfinite(score.dice)]
        if own:
            means = {key: nan_mean(getattr(score, key) for score in own) for key in METRICS}
            rows.append({"organ": organ, **means, "lowest_dice": min(dice, default=None), "cases": len(dice)})
    return rows


def _cases(folder: Path, page: Path, scores: Mapping[str, Sequence[OrganScore]], blobs: Blobs) -> list[dict[str, Any]]:
    """The cases, the lowest mean Dice first; those without a Dice last."""
    means = {case: nan_mean(score.dice for score in rows) for case, rows in scores.items()}
    order = sorted(scores, key=lambda case: (math.isnan(means[case]), means[case], case))
    entries = []
    for rank, case in enumerate(order):
        by_organ = {score.organ: _values(score) for score in scores[case]}
        pictures = _pictures(folder, page, case, blobs if rank < _PICTURES else None)
        entries.append({"name": case, "mean": means[case], "scores": by_organ, **pictures})
    return entries


def _values(score: OrganScore) -> dict[str, float]:
    names = (*METRICS, "volume_ml_reference", "volume_ml_pred")
    return {name: getattr(score, name) for name in names}


def _pictures(folder: Path, page: Path, case: str, blobs: Blobs | None) -> dict[str, Any]:
    """The overlay of a case in the page, or why there is none, and links to the files if they lie below the page."""
    place = folder / "cases" / case.replace("/", "-")
    files = {}
    for label, name in (("overlay", "overlay.png"), ("video", "organs.mp4"), ("turntable", "turntable.gif")):
        link = link_below(page, place / name)
        if link is not None:
            files[label] = link
    result: dict[str, Any] = {"files": files, "picture": None, "no_picture": "The run has no picture of this case."}
    if (place / "overlay.png").exists():
        result["no_picture"] = f"The page holds the pictures of the {_PICTURES} worst cases."
        if blobs is not None:
            result["picture"] = blobs.add(_webp(place / "overlay.png"))
    return result


def _webp(path: Path) -> str:
    """A picture as base64 of WebP, at most `_PICTURE_WIDTH` wide."""
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    # WebP cannot be higher than 16,383 pixels.
    small.thumbnail((_PICTURE_WIDTH, 16_000))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=_QUALITY, method=2)
    return base64.b64encode(file.getvalue()).decode()
