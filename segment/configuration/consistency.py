"""Refuse options that contradict each other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segment.configuration.nearest import nearest_word
from segment.errors import UserError

# Shared values, and the part of the configuration that refers to each. Another choice for that part may not.
USED_BY = {"spacing_mm": "preprocessing", "class_weights": "loss"}
OUR_MODULE = "segment.model.module.SegmentationModule"  # other modules may log other scores


def check_consistency(config: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other; options that the command does not have are skipped.

    Args:
        config: The complete configuration, resolved.

    Raises:
        UserError: When an organ is misspelt or has no tolerance, when a class weight has no class, or when `monitor` is
            not a validation score or `monitor_mode` would keep the worst epoch; the same for monitors of callbacks.
    """
    if "organs" in config and "tolerance_mm" in config:
        check_organs(config["organs"], config["tolerance_mm"], config["data"]["sources"].values())
    if config.get("class_weights"):
        check_class_weights(config["class_weights"], config["organs"])
    if "monitor" in config and "organs" in config and config["model"].get("_target_") == OUR_MODULE:
        check_monitor(config["monitor"], config["monitor_mode"], config["organs"])
        check_callbacks(config.get("callbacks") or {}, config["organs"])


def check_used(written: Mapping[str, Any], given: Iterable[str]) -> None:
    """Refuse a shared value that was set although nothing refers to it: it would change nothing, in silence.

    Args:
        written: The complete configuration, before references are resolved.
        given: Keys on the command line.

    Raises:
        UserError: With the first such key.
    """
    text = str(written)
    on_command_line = {key.partition(".")[0] for key in given}
    for key, part in USED_BY.items():
        is_set = key in on_command_line or key == "class_weights"  # null unless an experiment sets it
        if is_set and written.get(key) is not None and f"${{{key}}}" not in text:
            msg = f"{key} has no effect, because the chosen {part} does not use it; leave one of them out"
            raise UserError(msg)


def check_organs(organs: Sequence[str], tolerance_mm: Mapping[str, float], sources: Iterable[Any]) -> None:
    """Refuse an organ that is repeated, probably misspelt, or without a tolerance.

    An organ is probably misspelt when no data set annotates it and one annotates an organ with a similar name.

    Args:
        organs: Organs to segment.
        tolerance_mm: Tolerances by organ.
        sources: Configurations of the data sets; `label_codes` lists what each one annotates.

    Raises:
        UserError: With the organ, and the similar name or how to add a tolerance.
    """
    if not organs:
        msg = "organs=[] is empty; name the organs to segment, e.g. organs=[liver,spleen]"
        raise UserError(msg)
    repeated = [organ for organ in organs if organs.count(organ) > 1]
    if repeated:
        msg = f"organs names {repeated[0]} twice; name each organ once"
        raise UserError(msg)
    known = _annotated_organs(sources) | set(tolerance_mm)
    for organ in organs:
        near = nearest_word(organ, known)
        if organ not in known and near:
            msg = f"no chosen data set annotates an organ {organ!r}; did you mean {near}?"
            raise UserError(msg)
        if organ not in tolerance_mm:
            msg = f"tolerance_mm has no value for {organ}; add it in mm, e.g. +tolerance_mm.{organ}=3"
            raise UserError(msg)


def _annotated_organs(sources: Iterable[Any]) -> set[str]:
    """Return the names in the `label_codes` of all data sets.

    Raises:
        UserError: When codes and names are swapped, for example `{1: liver}`.
    """
    organs: set[str] = set()
    for source in sources:
        codes = source.get("label_codes") if isinstance(source, dict) else None
        if not isinstance(codes, dict):
            continue
        for name, code in codes.items():
            if not isinstance(name, str):
                msg = f"label_codes names the organ first, then its code: {{{code}: {name}}}"
                raise UserError(msg)
            organs.add(name)
    return organs


def check_class_weights(weights: Mapping[str, float], organs: Sequence[str]) -> None:
    """Refuse a weight for a class that does not exist.

    Raises:
        UserError: With the name, and a similar class or all classes.
    """
    classes = ["background", *organs]
    for name in weights:
        if name not in classes:
            near = nearest_word(str(name), classes)
            hint = f"did you mean {near}?" if near else f"the classes are {', '.join(classes)}"
            msg = f"class_weights names {name}, which is not a class; {hint}"
            raise UserError(msg)


def check_monitor(
    monitor: str, mode: str, organs: Sequence[str], keys: tuple[str, str] = ("monitor", "monitor_mode")
) -> None:
    """Refuse a score that validation does not log, and a mode that would keep the worst epoch.

    Args:
        monitor: Name of the score.
        mode: `max` or `min`.
        organs: Organs to segment.
        keys: Keys of the two values.

    Raises:
        UserError: With the scores that exist, or with the right mode.
    """
    scores = validation_scores(organs)
    if monitor not in scores:
        near = nearest_word(monitor, scores)
        hint = f"did you mean {near}?" if near else f"choose one of {', '.join(scores)}"
        msg = f"{keys[0]}={monitor} is not a validation score; {hint}"
        raise UserError(msg)
    better = "min" if monitor.endswith("loss") else "max"
    if mode != better:
        msg = f"{keys[1]}={mode} would keep the worst epoch by {keys[0]}={monitor}; set {keys[1]}={better}"
        raise UserError(msg)


def check_callbacks(callbacks: Mapping[str, Any], organs: Sequence[str]) -> None:
    """Refuse monitors of callbacks as `check_monitor` does; other names are accepted, because a callback may log them.

    Raises:
        UserError: As `check_monitor`.
    """
    scores = validation_scores(organs)
    for name, node in callbacks.items():
        monitor = str((node or {}).get("monitor"))
        if monitor.startswith("train/") and str(node.get("_target_")).endswith("StopEarly"):
            msg = (
                f"callbacks.{name}.monitor={monitor}: early stopping looks at the scores after a validation; choose "
                f"one of {', '.join(scores)}"
            )
            raise UserError(msg)
        is_ours = monitor.startswith(("val/dice/", "val/accuracy/")) or nearest_word(monitor, scores)
        if is_ours and "mode" in node:
            check_monitor(monitor, node["mode"], organs, (f"callbacks.{name}.monitor", f"callbacks.{name}.mode"))


def validation_scores(organs: Sequence[str]) -> list[str]:
    """Return the names of the scores that `SegmentationModule` logs in validation."""
    scores = ["val/loss", "val/dice/mean", "val/accuracy"]
    for score in ("dice", "accuracy"):
        scores += [f"val/{score}/{organ}" for organ in organs]
    return scores
