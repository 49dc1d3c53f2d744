"""TensorBoard logger that shows every row of metrics.csv once, even after several resumes."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from segment.loggers.metrics_csv import MetricsCSV, row_values


class TensorBoardRun(MetricsCSV):
    """Send each row to Lightning's TensorBoard logger once it is complete: when the next starts or a stage ends.

    The rows are kept in `<folder>/tensorboard/metrics.csv`. A resumed run removes the event files of earlier processes,
    which may hold steps that it repeats, and writes all rows again.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(Path(folder) / "tensorboard")
        self.board: TensorBoardLogger | None = None  # created when the first value is logged
        self.sent = 0  # number of rows sent to it

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Log the configuration."""
        self._open_board().log_hyperparams(params)

    @rank_zero_only
    def truncate(self, step: int) -> None:
        """Drop the rows of a step and of all later steps. A run that resumes at this step logs them again."""
        super().truncate(step)
        self._send(len(self.rows) - 1)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the row of a step, and send the rows before it."""
        super().log_metrics(metrics, step)
        self._send(len(self.rows) - 1)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Send the last row. Lightning calls this after every stage."""
        self._send(len(self.rows))
        if self.board is not None:
            self.board.finalize(status)

    def _open_board(self) -> TensorBoardLogger:
        if self.board is None:
            for events in self.path.parent.glob("events.out.tfevents.*"):
                events.unlink()
            self.board = TensorBoardLogger(str(self.path.parent), name="", version="")
        return self.board

    def _send(self, count: int) -> None:
        """Send the rows before index `count` that were not sent yet."""
        for row in self.rows[self.sent : max(count, 0)]:
            self._open_board().log_metrics(row_values(row), step=int(row["step"]))  # type: ignore[arg-type]
        self.sent = max(self.sent, count)
