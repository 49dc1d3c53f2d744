"""TensorBoard with every row of metrics.csv once, however often the process was stopped."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from segment.loggers.metrics_csv import MetricsCSV, number


class TensorBoardRun(MetricsCSV):
    """Lightning's TensorBoard logger, which gets each row whole when the next begins or a stage ends.

    The rows are kept in `<folder>/tensorboard/metrics.csv`. A run that goes on writes them all again, in place of the
    events of earlier processes, which may hold steps that it does again.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(Path(folder) / "tensorboard")
        self.board: TensorBoardLogger | None = None  # from the first thing that is logged
        self.sent = 0  # rows that it has

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Log the configuration."""
        self._begun().log_hyperparams(params)

    @rank_zero_only
    def forget_from(self, step: int) -> None:
        """Drop the rows of a step and all later ones, which a run that resumes there logs again."""
        super().forget_from(step)
        self._send(len(self.rows) - 1)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the step's row, and write the rows before it."""
        super().log_metrics(metrics, step)
        self._send(len(self.rows) - 1)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last row; Lightning calls this after every stage."""
        self._send(len(self.rows))
        if self.board is not None:
            self.board.finalize(status)

    def _begun(self) -> TensorBoardLogger:
        if self.board is None:
            for events in self.path.parent.glob("events.out.tfevents.*"):
                events.unlink()
            self.board = TensorBoardLogger(str(self.path.parent), name="", version="")
        return self.board

    def _send(self, count: int) -> None:
        """Write the rows up to that many which TensorBoard lacks."""
        for row in self.rows[self.sent : max(count, 0)]:
            values = {name: number(value) for name, value in row.items() if name != "step" and value != ""}
            self._begun().log_metrics(values, step=int(row["step"]))  # type: ignore[arg-type]
        self.sent = max(self.sent, count)
