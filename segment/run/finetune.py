"""`init_from`: a run that begins with the weights of another one."""

import hashlib
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from segment.checkpoint.load import read_checkpoint, seen_by
from segment.checkpoint.transfer import transfer
from segment.data.datamodule import CTDataModule
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.model.module import SegmentationModule
from segment.run.folder import is_requeued

log = logging.getLogger(__name__)

ENOUGH = 0.5  # share of a network's weights below which the checkpoint's is another network
NAMED = 8  # tensors that the log names one by one


def note_checkpoint(cfg: DictConfig) -> None:
    """Put the SHA-256 of the checkpoint that `init_from` names into the configuration.

    A run that goes on does not need the file; see `keep_note`.

    Raises:
        UserError: When there is no such file, or `init_sha256` says that it was another one.
    """
    if not cfg.init_from:
        return
    path = Path(cfg.init_from)
    if not path.is_file():
        if cfg.resume is not False or is_requeued():
            return
        msg = f"no such checkpoint: init_from={path}; a run's best one is <run folder>/checkpoints/best.ckpt"
        raise UserError(msg)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if cfg.init_sha256 not in (None, found):
        msg = f"init_from={path} is not the file whose SHA-256 is init_sha256={cfg.init_sha256}; give that file"
        raise UserError(msg)
    cfg.init_sha256 = found


def keep_note(cfg: DictConfig, folder: Path) -> None:
    """Of a run that goes on while the file of `init_from` is gone, keep what config.yaml says of it."""
    if cfg.init_from and cfg.init_sha256 is None:
        cfg.init_sha256 = OmegaConf.load(folder / "config.yaml").init_sha256


def begin_from(cfg: DictConfig, module: SegmentationModule, datamodule: CTDataModule) -> None:
    """Load what fits of the checkpoint that `init_from` names, and say what does not.

    Rows of the output layer are copied by organ. The CTs that the checkpoint has seen are noted as seen by this run.

    Raises:
        UserError: When the checkpoint holds another network, or has seen a test case.
    """
    path = Path(cfg.init_from)
    checkpoint = read_checkpoint(path)
    config, organs = checkpoint["segment"]["config"], module.organs
    module.checkpoint_metadata["voxel_hashes"] = all_seen(path, f"init_from={path}", datamodule)
    weights = {
        name.removeprefix("net."): value for name, value in checkpoint["state_dict"].items() if name.startswith("net.")
    }
    if known := _known(datamodule.split.val, seen_by(path), datamodule):
        warn_of_memory(f"init_from={path}", known)
    done = transfer(module.net, instantiate(cfg.model.net, _convert_="all"), organs, weights, config["organs"])
    if done.share < ENOUGH:
        msg = f"init_from={path} holds another network: {done.left[0]}; choose the same model/net, or init_from=null"
        raise UserError(msg)
    log.info("init_from=%s: %d tensors loaded, %.0f %% of the weights", path, len(done.loaded), 100 * done.share)
    for what, names in (("not loaded", done.left), ("of the checkpoint, not used", done.unused)):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            log.info("%s: %s%s", what, ", ".join(names[:NAMED]), more)
    if new := [organ for organ in organs if organ not in config["organs"]]:
        log.info("begin untrained: %s", ", ".join(new))
    if config["preprocess"] != module.checkpoint_metadata["config"]["preprocess"]:
        log.warning("init_from=%s was trained with other preprocessing: its weights were fitted to other images", path)


def warn_of_memory(name: str, cases: Sequence[str]) -> None:
    """Log that a run, as the sentence calls it, validates on cases that it was trained on."""
    log.warning("%s was trained on %s: their validation scores also measure memory", name, ", ".join(cases))


def all_seen(path: Path, name: str, datamodule: CTDataModule) -> list[str]:
    """Voxel hashes of the CTs that a checkpoint was trained or selected on, and of those that this run will be.

    Args:
        path: The checkpoint.
        name: What to call it.
        datamodule: The run's cases.

    Raises:
        UserError: When a test case is among the former.
    """
    before, split = seen_by(path), datamodule.split
    leaked = _known(split.test, before, datamodule)
    if leaked and not split.shared:
        msg = (
            f"{name} was trained or selected on {leaked[0]}, which the split has in test; leave it "
            "out by data.exclude, or use the split of that run (split=file split.path=<run>/split.json)"
        )
        raise UserError(msg)
    return sorted(before | set(datamodule.voxel_hashes()))


def _known(cases: Sequence[Case], seen: Collection[str], datamodule: CTDataModule) -> list[str]:
    return [case.id for case in cases if datamodule.volumes[case.id].meta["voxel_hash"] in seen]
