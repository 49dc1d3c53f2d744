"""Options that have to agree with one another."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segment.configuration.nearest import nearest_word
from segment.errors import UserError

OUR_MODULE = "segment.model.module.SegmentationModule"  # another one may log other scores


def check_consistent(config: Mapping[str, Any]) -> None:
    """Refuse options that contradict one another, of a command that has them.

    Args:
        config: The whole configuration, resolved.

    Raises:
        UserError: When an organ is misspelt, or the monitored score is none that a run logs or would choose the worst
            epoch.
    """
    if "organs" in config:
        check_organs(config["organs"], config["tolerance_mm"], config["data"]["sources"].values())
    if config.get("class_weights"):
        check_class_weights(config["class_weights"], config["organs"])
    if "monitor" in config and "organs" in config and config["model"].get("_target_") == OUR_MODULE:
        check_monitor(config["monitor"], config["monitor_mode"], config["organs"])


def check_organs(organs: Sequence[str], tolerance_mm: Mapping[str, float], sources: Iterable[Any]) -> None:
    """Refuse an organ that is named twice, or that only a misspelling makes a new one.

    Args:
        organs: Those to segment.
        tolerance_mm: Tolerances by organ.
        sources: The data sets' configuration, whose `label_codes` name what is annotated.

    Raises:
        UserError: With the organ and the name that is like it, or how to give it a tolerance.
    """
    if not organs:
        msg = "organs=[] names no organ; name those to segment, e.g. organs=[liver,spleen]"
        raise UserError(msg)
    if twice := [organ for organ in organs if organs.count(organ) > 1]:
        msg = f"organs names {twice[0]} twice; name each organ once"
        raise UserError(msg)
    codes = [source.get("label_codes") for source in sources if isinstance(source, dict)]
    for named in codes:
        if isinstance(named, dict) and (turned := [code for code in named if not isinstance(code, str)]):
            msg = f"label_codes names the organ first, then its code: {{{named[turned[0]]}: {turned[0]}}}"
            raise UserError(msg)
    annotated = {str(name) for named in codes if isinstance(named, dict) for name in named}
    known = annotated | set(tolerance_mm)
    for organ in organs:
        near = nearest_word(organ, known)
        if organ not in known and near:
            msg = f"no data set here annotates an organ {organ!r}; did you mean {near}?"
            raise UserError(msg)
        if organ not in tolerance_mm:
            msg = f"tolerance_mm has no value for {organ}; add it in mm, e.g. +tolerance_mm.{organ}=3"
            raise UserError(msg)


def check_class_weights(weights: Mapping[str, float], organs: Sequence[str]) -> None:
    """Refuse a weight of what is no class.

    Raises:
        UserError: With the name, and the one that is like it.
    """
    classes = ["background", *organs]
    for name in weights:
        if name not in classes:
            near = nearest_word(str(name), classes)
            msg = f"class_weights names {name}, which is no class; " + (
                f"did you mean {near}?" if near else f"there are {', '.join(classes)}"
            )
            raise UserError(msg)


def check_monitor(monitor: str, mode: str, organs: Sequence[str]) -> None:
    """Refuse a score that validation does not log, and a mode that would keep its worst epoch.

    Raises:
        UserError: With the scores that there are, or with the mode.
    """
    scores = validation_scores(organs)
    if monitor not in scores:
        near = nearest_word(monitor, scores)
        msg = f"monitor={monitor} is no score of a validation" + (f"; did you mean {near}?" if near else "; there are ")
        raise UserError(msg + ("" if near else ", ".join(scores)))
    better = "min" if monitor.endswith("loss") else "max"
    if mode != better:
        msg = f"monitor_mode={mode} would keep the worst epoch by monitor={monitor}; set monitor_mode={better}"
        raise UserError(msg)


def validation_scores(organs: Sequence[str]) -> list[str]:
    """Names of what `SegmentationModule` logs in a validation."""
    scores = [f"val/{score}/{organ}" for score in ("dice", "accuracy") for organ in organs]
    return ["val/loss", "val/dice/mean", "val/accuracy", *scores]
