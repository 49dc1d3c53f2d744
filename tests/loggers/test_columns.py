from omegaconf import OmegaConf

from segment.loggers.columns import columns

CFG = """
seed: 3
spacing_mm: [4, 4, 4]
preprocess: {spacing_mm: "${spacing_mm}", window: 7}
run_dir: /home/anna/outputs/1
output_dir: outputs
resume: true
allow_changed: [data]
preflight: false
from_run: /home/anna/outputs/0
anatomy: {liver: 1}
data: {seed: "${seed}", preprocess: "${preprocess}", folder: /home/anna/cts}
callbacks: {last: {dirpath: "${run_dir}/checkpoints", filename: last}}
logger: {wandb: {project: p}}
"""


def test_columns_leave_out_repeated_keys_and_paths():
    assert columns(OmegaConf.create(CFG)) == {
        "seed": 3,
        "spacing_mm": [4, 4, 4],
        "preprocess.window": 7,
        "preflight": False,
        "from_run": "0",
        "data.folder": "cts",
        "callbacks.last.filename": "last",
    }
