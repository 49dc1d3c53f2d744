"""`segment view`: one page of a prediction or a run, which opens in a browser without a network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from segment.commands.command import hydra_command
from segment.commands.predicted_cases import PredictedCase, check_organs, checkpoint_words, find_cases, organs_of
from segment.configuration.composition import compose_config
from segment.configuration.instantiate import instantiate
from segment.configuration.values import portable
from segment.errors import UserError
from segment.inference.inputs.find_inputs import ENDING
from segment.inference.outputs.names import masks_in
from segment.io.label_codes import Codes
from segment.view.page.document import is_page
from segment.view.page.prediction import PredictionPage
from segment.view.page.run import write_run_page
from segment.view.page.run_folder import VALIDATION, read_config

# A folder with one of these files is a run.
RUN_FILES = (Path("config.yaml"), Path("metrics.csv"), Path("cases.csv"), VALIDATION)


def view(cfg: DictConfig) -> None:
    """Write the page of a folder: `index.html` in it, or the file `output`.

    Raises:
        UserError: When the folder is neither a prediction nor a run, its CTs are not given, or the output exists and is
            not a page.
    """
    folder = _folder(cfg)
    if not folder.is_dir():
        msg = f"path={folder} is not a folder; name an output of segment predict, or a run folder of train or evaluate"
        raise UserError(msg)
    page = folder / "index.html" if cfg.output is None else Path(str(cfg.output))
    _check_output(page)
    if masks_in(folder):
        _view_prediction(cfg, folder, page)
    elif any((folder / name).exists() for name in RUN_FILES):
        write_run_page(page, folder, _default(read_config(folder)))
    else:
        msg = (
            f"{folder} holds neither masks (*{ENDING}.nii.gz) nor a run (config.yaml, metrics.csv, cases.csv); name an "
            "output of segment predict, or a run folder of train or evaluate"
        )
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
    organs = organs_of(folder)
    check_organs(codes or {}, organs)
    reference = None if cfg.reference is None else Path(str(cfg.reference))
    cases = find_cases(folder, [str(one) for one in given if one is not None], reference)
    prediction = PredictionPage(organs, instantiate(cfg.anatomy), cfg.max_mb)
    for case in cases:
        _add(prediction, case, cfg.series, codes)
    count = f"{len(cases)} CT{'s' * (len(cases) != 1)}"
    prediction.write(page, f"Prediction {folder.resolve().name}", f"{count}; {checkpoint_words(folder)}")


def _add(prediction: PredictionPage, case: PredictedCase, series: str | None, codes: Codes | None) -> None:
    scan = case.read_scan(series)
    mask = case.read_mask(scan, prediction.organs)
    prediction.add(case.name, scan, mask, case.read_reference(scan, prediction.organs, codes))
    print(f"{case.name}: in the page")


def _default(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the run's command without overrides."""
    command, needed = ("evaluate", ["ckpt=null"]) if "ckpt" in config else ("train", [])
    return portable(compose_config(command, ["run_dir=.", *needed]))


main = hydra_command("view")(view)

if __name__ == "__main__":
    main()
