import pytest

from segment.loggers.metrics_csv import MetricsCSV
from segment.search.watch import best, reason, scores

NAME = "val/dice/mean"


def test_scores_are_read_while_the_logger_writes_them(tmp_path):
    logger = MetricsCSV(tmp_path)
    assert scores(logger.path, NAME) == {}
    for step in range(4):
        logger.log_metrics({"lr-Adam": 0.1}, step=2 * step)
        assert scores(logger.path, NAME).keys() == set(range(step))
        logger.log_metrics({"train/loss": 1.5, "epoch": step, NAME: step / 8}, step=2 * step + 1)
    logger.log_metrics({"epoch": 4, NAME: float("nan")}, step=9)
    logger.log_metrics({"epoch": 5, "test/dice/mean": 0.9}, step=10)
    assert scores(logger.path, NAME) == {0: 0, 1: 0.125, 2: 0.25, 3: 0.375}


def test_incomplete_line_is_not_read(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(f"step,{NAME},epoch\n1,0.5,0\n2,0.75,1")
    assert scores(path, NAME) == {0: 0.5}
    path.write_text(f"step,{NAME},epoch\n1,0.5,0\n2,0.7\n")
    assert scores(path, NAME) == {0: 0.5}


def test_best_value_follows_the_direction():
    assert best([0.2, 0.8, 0.5], "maximize") == 0.8
    assert best([0.2, 0.8, 0.5], "minimize") == 0.2


@pytest.mark.parametrize(
    ("code", "output", "why"),
    [
        (
            2,
            "Epoch 0\nerror: no such file: /data/patients/ct.nii.gz; give another\n",
            "no such file: ct.nii.gz; give another",
        ),
        (
            1,
            'Traceback (most recent call last):\n  File "/home/x/y.py", line 3, in f\n'
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\nwandb: bye\n\n",
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        ),
        (1, "KeyboardInterrupt\n", "KeyboardInterrupt"),
        (3, "the last words\n\n", "the last words"),
        (3, "", "no message"),
        (-9, "Epoch 3", "killed by SIGKILL, perhaps because memory ran out"),
        (-11, "", "killed by signal 11 (Segmentation fault)"),
        (143, "", "stopped by SIGTERM from outside"),
    ],
)
def test_reason_is_one_line_without_paths(code, output, why):
    assert reason(code, output) == why
