"""Labels the arms of a comparison by the settings in which they differ."""

import json
from collections.abc import Mapping, Sequence

from segment.comparison.finished_run import FinishedRun
from segment.configuration.roles import is_free

_CASES = "training and validation cases"
_MAX_KEYS = 3  # in a label
_MAX_VALUE = 40  # characters of a value in a label
_ABSENT = "not set"
_MIXED = "several"  # the code of an arm whose runs used several versions; it then cannot distinguish arms


def label_arms(arms: Sequence[Sequence[FinishedRun]], arguments: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Label arms.

    Args:
        arms: The runs of each arm.
        arguments: The argument that named the first run of each arm. It becomes part of the label if the configuration
            alone does not distinguish the arms.

    Returns:
        For each arm, its label, and the dotted keys that vary between arms with its values as text.
    """
    configs = [_readable_config(runs) for runs in arms]
    varying = _varying_keys(configs)
    shown = _distinct_keys(configs, varying)
    settings = []
    for config in configs:
        settings.append(", ".join(f"{key}={config.get(key, _ABSENT)}" for key in shown[:_MAX_KEYS]))
    more = f" and {len(shown) - _MAX_KEYS} more" if len(shown) > _MAX_KEYS else ""
    labels = []
    for runs, argument, config, setting in zip(arms, arguments, configs, settings, strict=True):
        name = runs[0].name if len(runs) == 1 else argument
        if not setting:
            label = name
        elif settings.count(setting) == 1:
            label = f"{setting}{more}"
        else:
            label = f"{setting}, {name}"
        labels.append((label, {key: config.get(key, _ABSENT) for key in varying}))
    return labels


def _readable_config(runs: Sequence[FinishedRun]) -> dict[str, str]:
    """Dotted keys and their values as text. A `_target_` is shown by the name of its class, e.g. `model.net=VNet`."""
    config = {}
    for key, value in runs[0].config.items():
        if is_free(key) or key.endswith("sha256"):  # a hash means nothing to the reader
            continue
        parent, _, last = key.rpartition(".")
        if last == "_target_" and parent:
            config[parent] = str(value).split(".")[-1]
        else:
            config[key] = _short_value(value)
    if runs[0].seen:
        config[_CASES] = str(len(runs[0].seen))
    versions = {run.code for run in runs} - {""}
    if versions:
        config["code"] = versions.pop() if len(versions) == 1 else _MIXED
    return config


def _varying_keys(configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys with different values. Keys that all arms set come first, and among these the short ones."""
    keys = {key for config in configs for key in config}

    def order(key: str) -> tuple[bool, bool, int, int, str]:
        is_absent = any(key not in config for config in configs)
        return is_absent, key == "code", key.count("["), key.count("."), key

    varying = []
    for key in sorted(keys, key=order):
        values = {config.get(key, _ABSENT) for config in configs}
        if len(values) > 1 and _MIXED not in values:
            varying.append(key)
    return varying


def _distinct_keys(configs: Sequence[Mapping[str, str]], varying: Sequence[str]) -> list[str]:
    """One key for each pattern of values over the arms: the first in `varying`, because others add no information."""
    keys: dict[tuple[str, ...], str] = {}
    for key in reversed(varying):
        keys[tuple(config.get(key, _ABSENT) for config in configs)] = key
    return list(reversed(keys.values()))


def _short_value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > _MAX_VALUE:
        return f"{text[: _MAX_VALUE - 1]}…"
    return text
