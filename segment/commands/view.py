"""`segment view`: one page of a finished folder, which opens in a browser without a network."""

from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

from segment.commands.command import hydra_command
from segment.commands.pages import page_of
from segment.commands.predicted_cases import check_organs, find_cases, organs_of
from segment.commands.prediction_page import Limits, write_prediction_page
from segment.configuration.instantiate import instantiate
from segment.errors import UserError
from segment.inference.inputs.find_inputs import ENDING
from segment.inference.outputs.names import masks_in
from segment.io.label_codes import Codes
from segment.view.page.document import PAGE, is_page

SHOWN = "an output of segment predict or compare, or a folder of train, evaluate, sweep, curve or doctor"


def view(cfg: DictConfig) -> None:
    """Write the page of a folder: `index.html` in it, or the file `output`.

    Raises:
        UserError: When the folder is nothing that has a page, the CTs of a prediction are not given, or the output
            exists and is not a page.
    """
    folder = _folder(cfg)
    if not folder.is_dir():
        msg = f"path={folder} is not a folder; name {SHOWN}"
        raise UserError(msg)
    page = folder / PAGE if cfg.output is None else Path(str(cfg.output))
    _check_output(page)
    write = page_of(folder)
    if write is not None:
        write(page, folder)
    elif masks_in(folder):
        _view_prediction(cfg, folder, page)
    else:
        msg = f"{folder} holds neither masks (*{ENDING}.nii.gz) nor a run, sweep, comparison or findings; name {SHOWN}"
        raise UserError(msg)
    print(f"page: {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser")


def _folder(cfg: DictConfig) -> Path:
    """The folder; words without a key arrive as a list."""
    paths = list(cfg.path) if isinstance(cfg.path, ListConfig) else [cfg.path]
    if len(paths) != 1:
        msg = f"segment view makes the page of one folder, got {len(paths)}: {' '.join(map(str, paths))}; name one"
        raise UserError(msg)
    return Path(str(paths[0]))


def _check_output(page: Path) -> None:
    """Refuse an output that is not a page of this command. A page is replaced."""
    if page.suffix.lower() not in (".html", ".htm"):
        msg = f"output={page} must be a file that ends in .html"
        raise UserError(msg)
    if page.exists() and (not page.is_file() or not is_page(page)):
        msg = f"{page} exists and was not made by segment view; choose another output=<file>.html"
        raise UserError(msg)


def _view_prediction(cfg: DictConfig, folder: Path, page: Path) -> None:
    given = list(cfg.input) if isinstance(cfg.input, ListConfig) else [cfg.input]
    codes: Codes | None = None
    if cfg.reference_codes is not None:
        codes = dict(OmegaConf.to_container(cfg.reference_codes))  # type: ignore[arg-type]
    check_organs(codes or {}, organs_of(folder))
    reference = None if cfg.reference is None else Path(str(cfg.reference))
    cases = find_cases(folder, [str(one) for one in given if one is not None], reference)
    write_prediction_page(
        page,
        folder,
        cases,
        instantiate(cfg.anatomy),
        Limits(cfg.max_mb),
        series=cfg.series,
        codes=codes,
        on_case=lambda name: print(f"{name}: in the page"),
    )


main = hydra_command("view")(view)

if __name__ == "__main__":
    main()
