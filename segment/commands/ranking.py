"""`segment curve rank=<folder>`: which unlabelled CTs to annotate next."""

import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from segment.anatomy.anatomy import Anatomy
from segment.checkpoint import load_ensemble as ensemble
from segment.commands import configured_cases
from segment.commands.each_case import process_each, raise_failures
from segment.commands.examination import Examination
from segment.commands.pages import page_at_end
from segment.configuration.instantiate import instantiate
from segment.configuration.values import override_key, portable
from segment.curve.ranking import Ranking, write_ranking
from segment.data.splits.split import not_made
from segment.errors import UserError
from segment.files import write_text
from segment.inference.engines.choose import AUTO, choose
from segment.inference.inputs.find_inputs import find_inputs
from segment.io.left_out import describe_group, group_by_reason
from segment.run.open_run import open_run
from segment.view.page.rank import write_rank_page

log = logging.getLogger(__name__)

# Options of `segment curve` without rank=, and with it.
OF_TRAININGS = ("sizes", "repeats", "target", "workers")
OF_RANKING = ("ckpt", "trust")


def check_options(is_ranking: bool, overrides: Sequence[str]) -> None:
    """Refuse arguments of `segment curve` that it would not use.

    Args:
        is_ranking: Whether rank= is given.
        overrides: The arguments.

    Raises:
        UserError: When options of the trainings are given with rank=, or those of a ranking without it.
    """
    unused = [key for key in map(override_key, overrides) if key in (OF_TRAININGS if is_ranking else OF_RANKING)]
    if unused and is_ranking:
        msg = f"rank= trains nothing, so leave out {unused[0]}="
        raise UserError(msg)
    if unused:
        msg = f"{unused[0]}= is an option of rank=<folder>; the trainings of a curve start from init_from="
        raise UserError(msg)


def names_data(overrides: Sequence[str]) -> bool:
    """Whether the arguments of a command name its data set, instead of leaving it to the default."""
    return any(key == "data" or key.startswith("data.sources.") for key in map(override_key, overrides))


def rank_cts(cfg: DictConfig, data_is_named: bool) -> None:
    """Rank the CTs below a folder, write tables, pictures and a page, and log the result.

    A CT that fails is named at the end. What was found out about a CT is kept in the cache, so a further call with the
    same checkpoint segments only new CTs.

    Args:
        cfg: Options of `segment curve`.
        data_is_named: Whether the user has named the data set of the labelled CTs.

    Raises:
        UserError: When there is no CT, a CT failed, or an option does not fit.
    """
    if cfg.resume is not False:
        msg = (
            f"a ranking is not resumed: leave out resume={cfg.resume}, and let it write to a new folder; CTs that were "
            "segmented before are not segmented again"
        )
        raise UserError(msg)
    trained = ensemble.load(cfg.ckpt, cfg.trust)
    inputs, left_out = find_inputs([str(cfg.rank)], Path(cfg.output_dir))
    labelled = not_made(configured_cases.cases(cfg.data)) if data_is_named else []
    choice = choose(AUTO, AUTO, exported=False)
    anatomy: Anatomy = instantiate(cfg.anatomy)
    found = Examination(trained, anatomy, choice, Path(cfg.cache_dir), left_out=left_out)
    with open_run(cfg, "rank.log") as run:
        failed = process_each({case.id: case for case in labelled}, found.add_labelled)
        failed += process_each({item.display_name: item for item in inputs}, found.add)
        _conclude(run.folder, found, failed, cfg)
        raise_failures(failed, len(labelled) + len(inputs))


def _conclude(folder: Path, found: Examination, failed: Sequence[str], cfg: DictConfig) -> None:
    """Write the ranking, if there is a CT to rank, and log it."""
    lines = [describe_group(group) for group in group_by_reason(found.left_out)]
    if not found.candidates and not failed:
        msg = "no CT to rank:\n  " + "\n  ".join(lines)
        raise UserError(msg)
    if found.candidates:
        ranking = Ranking.of(found.candidates, found.labelled, found.trained.organs)
        notes = [_basis(found.trained), _labelled(len(found.labelled)), _missing(ranking)]
        write_text(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))
        write_ranking(folder, ranking, [*notes, *(f"failed: {one}" for one in failed), *lines])
        for sentence in (*ranking.sentences(), *notes):
            log.info("%s", sentence)
        print(f"ranking: {folder / 'rank.csv'}")
        page_at_end(cfg.page, folder, write_rank_page)
    print(*lines, sep="\n", end="\n" if lines else "")


def _basis(trained: ensemble.Ensemble) -> str:
    """Where the Dice come from."""
    if trained.calibrated.calibration is not None:
        return trained.calibrated.words
    return f"Dice is what the network itself expects, which is too high for bad masks ({trained.calibrated.words})"


def _labelled(count: int) -> str:
    if not count:
        return "what labelled CTs show is not counted: name them by data=<set>"
    return f"{count} labelled CT{'s' * (count != 1)}: what resembles them comes later"


def _missing(ranking: Ranking) -> str:
    what = "an organ that was not found although the scan covers its usual place counts with a Dice of"
    return f"{what} {ranking.of_missing:.2f}"
