"""`init_from`: start a run with the weights of another one."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from segment.checkpoint.load import read_checkpoint, training_hashes
from segment.checkpoint.starter import checkpoint_path
from segment.checkpoint.transfer import transfer
from segment.configuration.instantiate import instantiate
from segment.data.datamodule import CTDataModule
from segment.data.splits.split import Split
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.files import file_sha256
from segment.model.module import SegmentationModule
from segment.model.state_keys import NET
from segment.run.folder import is_requeued
from segment.run.resume import recorded_facts

log = logging.getLogger(__name__)

MIN_SHARE = 0.5  # if less of the weights can be loaded, the checkpoint holds another network
MAX_LISTED = 8  # names of tensors in a log message


def checksum(cfg: DictConfig) -> str | None:
    """SHA-256 of the checkpoint `cfg.init_from`; None without one, or if a resumed run's file is gone.

    Raises:
        UserError: When a new run's file does not exist, or the starter weights of the package are damaged.
    """
    if not cfg.init_from:
        return None
    needed = cfg.resume is False and not is_requeued()  # a resumed run has the weights in its own checkpoint
    try:
        path = checkpoint_path(cfg.init_from)
    except UserError:
        if needed:
            raise
        return None
    if not path.is_file():
        if not needed:
            return None
        msg = f"no such checkpoint: init_from={cfg.init_from}; a run's best one is <run folder>/checkpoints/best.ckpt"
        raise UserError(msg)
    return file_sha256(path)


def check_repeated(cfg: DictConfig, sha256: str | None) -> None:
    """Check that a repeated run starts with the weights of the earlier one.

    Raises:
        UserError: When the file of `init_from` is not the one that the run `from_run` used.
    """
    earlier = recorded_facts(Path(cfg.from_run)).get("init_sha256")
    if sha256 and earlier not in (None, sha256):
        msg = (
            f"init_from={cfg.init_from} is not the file that {cfg.from_run} started with, whose SHA-256 is {earlier}; "
            "give that file"
        )
        raise UserError(msg)


def load_initial_weights(cfg: DictConfig, module: SegmentationModule, datamodule: CTDataModule) -> None:
    """Load the weights of the checkpoint `cfg.init_from` that fit, and log those that do not.

    Rows of the output layer are matched by organ name. The CTs that the checkpoint was trained on are recorded as seen
    by this run.

    Raises:
        UserError: When the checkpoint holds another network, or was trained or selected on a test case.
    """
    path, name = checkpoint_path(cfg.init_from), f"init_from={cfg.init_from}"
    checkpoint = read_checkpoint(path)
    config, organs = checkpoint["segment"]["config"], module.organs
    module.checkpoint_metadata["voxel_hashes"] = seen_hashes(path, name, datamodule)
    known = _known(datamodule.split.val, training_hashes(path), datamodule)
    if known:
        warn_trained_on(name, known)
    _warn_of_equal_names(name, checkpoint["segment"]["split"], datamodule.split, known)
    untrained_net = instantiate(cfg.model.net)
    transferred = transfer(module.net, untrained_net, organs, _network_weights(checkpoint), config["organs"])
    if transferred.share < MIN_SHARE:
        first = transferred.skipped[0]
        msg = f"{name} holds another network: {first}; choose the same model/net, or init_from=null"
        raise UserError(msg)
    loaded, percent = len(transferred.loaded), 100 * transferred.share
    log.info("%s: %d tensors loaded, %.0f %% of the weights", name, loaded, percent)
    _log_names("not loaded", transferred.skipped)
    _log_names("in the checkpoint, but not used", transferred.unused)
    new_organs = [organ for organ in organs if organ not in config["organs"]]
    if new_organs:
        log.info("organs that start untrained: %s", ", ".join(new_organs))
    if config["preprocess"] != module.checkpoint_metadata["config"]["preprocess"]:
        log.warning("%s was trained with other preprocessing, so its weights expect different images", name)


def _network_weights(checkpoint: dict[str, Any]) -> dict[str, Any]:
    weights = {}
    for name, value in checkpoint["state_dict"].items():
        if name.startswith(NET):
            weights[name.removeprefix(NET)] = value
    return weights


def _log_names(title: str, names: Sequence[str]) -> None:
    """Log the first names and the number of the others; nothing if there are none."""
    if not names:
        return
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    log.info("%s: %s%s", title, ", ".join(names[:MAX_LISTED]), more)


def warn_trained_on(name: str, cases: Sequence[str]) -> None:
    """Log that validation cases were training cases before.

    Args:
        name: The checkpoint or run that was trained on them, e.g. `init_from=a.ckpt`.
        cases: Ids of the cases.
    """
    log.warning("%s was trained on %s; as validation cases, they will score too high", name, ", ".join(cases))


def _warn_of_equal_names(name: str, before: Mapping[str, Sequence[str]], split: Split, known: Sequence[str]) -> None:
    """Log that validation or test cases have the names of cases that a checkpoint was trained or selected on.

    They may be the same patients with other voxels, for example after another export.

    Args:
        name: The checkpoint, e.g. `init_from=a.ckpt`.
        before: Ids of its cases by part.
        split: The cases of this run.
        known: Ids of cases that are recognised by their voxels.
    """
    names = {*before.get("train", ()), *before.get("val", ())} - {*known}
    equal = [case.id for case in (*split.val, *split.test) if case.id in names]
    if equal and not split.shared:
        log.warning(
            "%s was trained or selected on cases with the names of %d validation or test cases, first %s; if they are "
            "the same patients, these will score too high: leave them out with data.exclude, or give other data",
            name,
            len(equal),
            equal[0],
        )


def seen_hashes(path: Path, name: str, datamodule: CTDataModule) -> list[str]:
    """Voxel hashes of the CTs that a checkpoint was trained or selected on, and of those that this run will use.

    Args:
        path: The checkpoint.
        name: Its name in the error message.
        datamodule: The run's cases.

    Raises:
        UserError: When the checkpoint was trained or selected on a test case of this run.
    """
    before, split = training_hashes(path), datamodule.split
    leaked = _known(split.test, before, datamodule)
    if leaked and not split.shared:
        msg = (
            f"{name} was trained or selected on {leaked[0]}, which is a test case of this split; leave it "
            "out with data.exclude, or use the split of that run (split=file split.path=<run>/split.json)"
        )
        raise UserError(msg)
    return sorted(before | set(datamodule.voxel_hashes()))


def _known(cases: Sequence[Case], seen: Collection[str], datamodule: CTDataModule) -> list[str]:
    return [case.id for case in cases if datamodule.volumes[case.id].meta["voxel_hash"] in seen]
