"""`segment prepare`: download data sets, list their cases, and preprocess them once, before any training."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from segment.commands.command import hydra_command
from segment.configuration.instantiate import instantiate
from segment.data.datamodule import CTDataModule
from segment.data.export import export_nnunet
from segment.data.store.cache import entries, explain, prune
from segment.data.store.fingerprint import identity
from segment.datasets.cases import Case
from segment.datasets.fetch.catalogue import FOLDER
from segment.datasets.fetch.obtain import obtain
from segment.errors import UserError
from segment.files import write_text


def prepare(cfg: DictConfig) -> None:
    """Download missing data sets and preprocess all cases, or do what `cache` or `export` request.

    Raises:
        UserError: When a data set cannot be downloaded, or cases cannot be used. All unusable cases are listed, after
            the others have been preprocessed.
    """
    root = Path(cfg.data.cache_dir)
    if cfg.cache == "list":
        _list(root)
        return
    if cfg.cache == "prune":
        count, size_mb = prune(root, cfg.unused_days)
        print(f"removed {count} volumes, {size_mb:.0f} MB, from {root}")
        return
    _obtain(cfg)
    datamodule: CTDataModule = instantiate(cfg.data)
    cases = datamodule.cases
    if cfg.cache == "explain":
        _explain(cases, datamodule, root)
    elif cfg.export:
        export_nnunet(datamodule.split, datamodule.organs, _export_folder(cfg))
        print(f"{sum(map(len, datamodule.split.ids().values()))} cases: {_export_folder(cfg)}")
    else:
        path = Path(cfg.cache_dir) / "manifests" / f"{'_'.join(cfg.data.sources)}.csv"
        write_text(path, _listing(cases))
        print(f"{len(cases)} cases, listed in {path}")
        if cfg.store:
            datamodule.store.prepare(cases, datamodule.num_workers)
            print(f"all are preprocessed in {root}")


def _obtain(cfg: DictConfig) -> None:
    """Download the public data sets whose folder is in the cache. A set in another folder belongs to the user."""
    for name, node in cfg.data.sources.items():
        path = FOLDER / f"{name}.yaml"
        if not path.exists() or Path(node.root) != Path(cfg.cache_dir) / "sets" / str(name):
            continue
        entry = instantiate(OmegaConf.load(path))  # type: ignore[arg-type]  # a dictionary
        if entry.files or not Path(node.root).exists():  # else the user copied it there by hand
            obtain(entry, Path(node.root), cfg.accept_licence)


def _export_folder(cfg: DictConfig) -> Path:
    if not cfg.export_to:
        msg = "export=nnunet needs a folder; name it with export_to=<folder>/Dataset123_Abdomen"
        raise UserError(msg)
    return Path(cfg.export_to)


def _listing(cases: Sequence[Case]) -> str:
    """The cases as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "patient", "group", "annotated", "image", "label files"])
    for case in cases:
        files = " ".join(str(path) for path in case.label.files)
        writer.writerow([case.id, case.patient, case.group, " ".join(case.label.structures), case.image, files])
    return text.getvalue()


def _list(root: Path) -> None:
    """Print the stored volumes as a table."""
    held = entries(root)
    table = Table(title=f"{len(held)} volumes in {root}")
    for column in ("volume", "case", "MB", "unused days"):
        table.add_column(column, justify="right" if column in ("MB", "unused days") else "left")
    for entry in held:
        volume = entry.volume
        table.add_row(volume.folder.name[:12], volume.id, f"{entry.size_mb:.1f}", f"{entry.unused_days:.1f}")
    table.add_section()
    table.add_row("all", "", f"{sum(entry.size_mb for entry in held):.1f}", "")
    Console().print(table)


def _explain(cases: Sequence[Case], datamodule: CTDataModule, root: Path) -> None:
    """Print for each case whether it is stored, and why not."""
    held = entries(root)
    for case in cases:
        decides = identity(case, datamodule.store.transform, datamodule.organs)
        print(f"{case.id}: {explain(decides, held)}")


main = hydra_command("prepare")(prepare)

if __name__ == "__main__":
    main()
