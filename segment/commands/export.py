"""`segment export`: write a checkpoint as one file that runs without PyTorch."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from omegaconf import DictConfig

from segment.checkpoint.calibrated import calibration_path, find_calibration
from segment.checkpoint.load import load_model
from segment.checkpoint.starter import checkpoint_path
from segment.commands.command import hydra_command
from segment.errors import UserError
from segment.exported import script, write
from segment.exported.read import SUFFIX, is_exported
from segment.files import atomic_write, file_sha256, write_text
from segment.inference.engines.choose import FOR_CHECKPOINT
from segment.io.read import read_ct
from segment.io.scan import Scan, geometry_header
from segment.phantom.case import synthesise_case
from segment.runtime.cores import allowed_cores

# The default CT: an upper abdomen that the starter weights have not seen.
SEED, INDEX, SHAPE, VIEW = 1, 0, (112, 112, 80), "abdomen"


def export(cfg: DictConfig) -> None:
    """Convert a checkpoint to ONNX, compare its masks with those of the checkpoint on a CT, and write it.

    Raises:
        UserError: When a package is missing, a step cannot be exported, the output exists, or the masks differ.
    """
    output, checkpoint = Path(str(cfg.output)), checkpoint_path(cfg.ckpt)
    _check(cfg, output)
    from segment.exported import verify  # needs onnxruntime

    trained = load_model(checkpoint, cfg.trust)
    beside = {output.parent / name: text for name, text in script.files().items()} | _calibration(checkpoint, output)
    _check_replaced(output, beside, cfg.overwrite)
    description = write.describe(trained, checkpoint)
    scan = _synthetic() if cfg.input is None else read_ct(Path(cfg.input), cfg.series)
    threads = min(torch.get_num_threads(), allowed_cores())
    torch.set_num_threads(threads)
    network = write.network(trained, description)
    agreement = verify.verify(write.with_description(network, description, {}), trained, scan, threads)
    verify.check(agreement)
    with atomic_write(output) as temporary:
        temporary.write_bytes(write.with_description(network, description, agreement.least))
    for path, text in beside.items():
        write_text(path, text)
    print(f"agreement with the checkpoint on {cfg.input or 'a synthetic CT'}, {scan.data.size:,} voxels:")
    _print_agreement("segment predict", agreement.predict, agreement.voxels[0])
    _print_agreement(script.SCRIPT, agreement.script, agreement.voxels[1])
    print(f"{output} has {output.stat().st_size / 1e6:.1f} MB; run it by `segment predict ckpt={output}`,")
    print(f"or without segment and PyTorch by `python {output.parent / script.SCRIPT} {output} ct.nii.gz mask.nii.gz`")


def _print_agreement(name: str, scores: Mapping[str, float | None], differing: int) -> None:
    organs = ", ".join(f"{organ} {'absent' if dice is None else f'{dice:.5f}'}" for organ, dice in scores.items())
    print(f"  {name}: Dice {organs}; {differing} voxels differ")


def _check(cfg: DictConfig, output: Path) -> None:
    """Refuse what can be refused before anything is read."""
    missing = [package for package in FOR_CHECKPOINT["onnx"] if find_spec(package) is None]
    if missing:
        msg = f"segment export needs {', '.join(missing)}; install with `pip install {' '.join(missing)}`"
        raise UserError(msg)
    if not is_exported(output):
        msg = f"output={output} must end in {SUFFIX}; write output={output.with_suffix(SUFFIX)}"
        raise UserError(msg)
    if is_exported(cfg.ckpt):
        msg = f"ckpt={cfg.ckpt} is an exported file already; give a checkpoint"
        raise UserError(msg)


def _check_replaced(output: Path, beside: Mapping[Path, str], overwrite: bool) -> None:
    """Refuse to replace the output, or a file beside it that has another content."""
    changed = (path for path, text in beside.items() if path.exists() and path.read_text(encoding="utf-8") != text)
    existing = [output] * output.exists() + list(changed)
    if existing and not overwrite:
        msg = f"{existing[0]} exists; choose another output, or overwrite=true"
        raise UserError(msg)


def _calibration(checkpoint: Path, output: Path) -> dict[Path, str]:
    """The calibration of a checkpoint, which is that of its exported file, too; nothing if it has none."""
    sha256 = [file_sha256(checkpoint)]
    if find_calibration([checkpoint], sha256, ()).calibration is None:
        return {}
    text = calibration_path([checkpoint], sha256, ()).read_text(encoding="utf-8")
    return {calibration_path([output], sha256, ()): text}


def _synthetic() -> Scan:
    case = synthesise_case(SEED, INDEX, SHAPE, [VIEW])
    affine = torch.diag(torch.tensor([*case.spacing_mm, 1.0], dtype=torch.float64)).numpy()
    return Scan(case.hu, affine, geometry_header(case.hu.shape, affine), case.hu.shape)


main = hydra_command("export")(export)

if __name__ == "__main__":
    main()
