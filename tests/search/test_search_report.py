import searches

from segment.search.lock import hold
from segment.search.report import Report


def test_simultaneous_workers_log_to_wandb_one_after_another(tmp_path):
    """Each deletes the run that the other one has logged."""
    search = searches.search(tmp_path)
    searches.worker(search, searches.training(), 1).run()
    logged = []

    class Logger:
        def truncate(self, step):
            assert hold(tmp_path / ".wandb.lock") is None  # another worker has to wait

        def log_table(self, name, columns, data):
            logged.append((name, columns, data))

        def log_image(self, name, images):
            logged.append(name)

        def finish(self):
            self.truncate(0)

    report = Report(search, "val/dice/mean", [])
    report.write()
    report.log_to_wandb(Logger())
    (name, columns, data), *pictures = logged
    assert (name, len(data), pictures) == ("trials", 1, ["history"])
    assert "lr" in columns
