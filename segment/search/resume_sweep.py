"""Find the sweep that a command resumes, and take over its configuration."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segment.configuration.values import override_key, portable, with_values
from segment.errors import UserError
from segment.privacy import without_paths
from segment.search.lock import held

FACTS = "sweep.json"  # what a search records when it starts


class Kind(NamedTuple):
    """A command that runs trainings as processes in one folder.

    Attributes:
        word: What it is called in messages, also the name of the command.
        key: A key that only the config.yaml of this command has.
        example: An example of its folder.
    """

    word: str
    key: str
    example: str


SWEEP = Kind("sweep", "space", "outputs/quick/sweeps/<date_time>")


@contextmanager
def sweep_in_named_folder(kind: Kind = SWEEP) -> Iterator[str | bool]:
    """Yield what resume=true means here: the folder of hydra.run.dir if it holds a sweep, else false.

    No other process starts a sweep in this folder while the block runs.
    """
    if not any(argument.startswith("hydra.run.dir=") for argument in HydraConfig.get().overrides.hydra):
        msg = f"resume=true does not name a {kind.word}; give hydra.run.dir=<folder>, or resume=<folder>"
        raise UserError(msg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    with held(folder / ".begin.lock"):
        yield str(folder) if _is_of_kind(folder, kind) else False


def _is_of_kind(folder: Path, kind: Kind) -> bool:
    path = folder / "config.yaml"
    return path.exists() and kind.key in OmegaConf.load(path)


def resumed(cfg: DictConfig, kind: Kind = SWEEP) -> tuple[DictConfig, dict[str, Any]]:
    """Configuration and facts of a search.

    If the command only names the folder of an earlier search and new limits (`allow_changed`), they are those of the
    earlier search. The facts are `searchpath`, the folders of configuration beside `conf/`, and `is_complete`, whether
    config.yaml is enough to resume the search. If the command has absolute paths, it is not, because these are not
    recorded.

    Raises:
        UserError: When `resume` is not the folder of a search, when config.yaml is not enough to resume it, or when
            the command names other folders of configuration.
    """
    whole = with_values(cfg, run_dir=".", resume=False)
    searchpath = _searchpath()
    portable_searchpath = without_paths(searchpath)
    is_complete = OmegaConf.to_container(whole, resolve=True) == portable(whole) and searchpath == portable_searchpath
    facts = {"searchpath": searchpath, "is_complete": is_complete}
    if cfg.resume is False:
        return cfg, facts
    folder = Path(str(cfg.resume))
    if not _is_of_kind(folder, kind):
        msg = f"resume={cfg.resume} is not a {kind.word}'s folder; name one, e.g. {kind.example}"
        raise UserError(msg)
    recorded = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    given = {override_key(argument) for argument in HydraConfig.get().overrides.task}
    if given <= {"resume", *cfg.allow_changed}:
        if not recorded["is_complete"]:
            msg = f"{folder} does not record absolute paths; repeat its whole command, with resume={folder}"
            raise UserError(msg)
        before = OmegaConf.load(folder / "config.yaml")
        before.run_dir = "???"
        kept = {key: cfg[key] for key in (*given, "allow_changed")}
        return with_values(before, **kept), recorded  # type: ignore[arg-type]
    if portable_searchpath != recorded["searchpath"]:
        msg = (
            f"{folder} takes configuration from {recorded['searchpath']}, not from {facts['searchpath']}; give the "
            f"--config-dir of that {kind.word}"
        )
        raise UserError(msg)
    return cfg, facts


def _searchpath() -> list[str]:
    """URLs of the folders of `--config-dir` and `hydra.searchpath`, relative to the current folder if below it."""
    sources = HydraConfig.get().runtime.config_sources
    own = [source for source in sources if source.provider.startswith(("command-line", "hydra.searchpath"))]
    current = f"{Path.cwd()}{os.sep}"
    return [f"{source.schema}://{source.path.removeprefix(current)}" for source in own]
