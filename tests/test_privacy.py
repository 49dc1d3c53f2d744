import traceback
from pathlib import Path

import pytest
import torch

from segment.privacy import without_paths, without_paths_in_log


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/home/jane/CTs of Jane", "CTs of Jane"),
        ("/data/", "data"),
        ("/home/jane/x\n/mnt/joe/y", "x\ny"),
        ("~/sets/flare22", "flare22"),
        (r"C:\Users\jane\flare22", "flare22"),
        ("data.sources.folder.root=/home/jane/flare22", "data.sources.folder.root=flare22"),
        ("input=~jane/ct.nii.gz", "input=ct.nii.gz"),
        ("path is file:///home/jane/x.json", "path is file://x.json"),
        ('File "/home/jane/x.py", line 3', 'File "x.py", line 3'),
        ("output_dir='/home/jane/of jane/out'", "output_dir='out'"),
        ("No such file: '/mnt/my sets/ct 1.nii.gz' and 'C:\\Jane D\\x'", "No such file: 'ct 1.nii.gz' and 'x'"),
        ("-  root: /mnt/jane/flare22\n+  root: /mnt/joe/flare22", "-  root: flare22\n+  root: flare22"),
    ],
)
def test_only_the_last_component_of_an_absolute_path_is_kept(before, after):
    assert without_paths(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "outputs/quick/2026-01-01",
        "./x/y and ../x/y",
        "val/dice/mean",
        "it's a/b and 'c/d e'",
        "${run_dir}/checkpoints",
        "https://github.com/Project-MONAI/MONAI",
        "--- /dev/null\n+++ b/segment/new.py",
        "a / b, 3 mm/s, and/or",
        "segment.model.vnet.VNet",
        "later: wandb sync <run folder>/wandb/offline-run-*",
        "",
    ],
)
def test_other_texts_are_not_changed(text):
    assert without_paths(text) == text


def test_paths_in_nested_values_are_shortened():
    before = {"a": ["/x/y", 1, None, {"b": "~/z"}], "c": 0.5, "d": True}
    assert without_paths(before) == {"a": ["y", 1, None, {"b": "z"}], "c": 0.5, "d": True}


def test_a_traceback_has_packages_but_no_folders_of_this_machine(tmp_path):
    try:
        torch.load(tmp_path / "no.ckpt")
    except FileNotFoundError:
        text = without_paths_in_log(traceback.format_exc())
    assert 'File "torch/serialization.py"' in text
    assert "'no.ckpt'" in text
    for folder in (tmp_path, Path.cwd(), Path(torch.__file__).parents[1]):
        assert str(folder) not in text
