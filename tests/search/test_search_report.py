import searches

from segment.search.lock import hold
from segment.search.report import Report


def test_workers_that_end_together_show_the_search_one_after_the_other(tmp_path):
    """Each removes what the other one has left of their run."""
    search = searches.search(tmp_path)
    searches.worker(search, searches.training(), 1).run()
    shown = []

    class Logger:
        def forget_from(self, step):
            assert hold(tmp_path / ".wandb.lock") is None  # another worker has to wait

        def log_table(self, name, columns, data):
            shown.append((name, columns, data))

        def log_image(self, name, images):
            shown.append(name)

        def finish(self):
            self.forget_from(0)

    report = Report(search, "val/dice/mean", [])
    report.write()
    report.show_in_wandb(Logger())
    (name, columns, data), *pictures = shown
    assert (name, len(data), pictures) == ("trials", 1, ["history"])
    assert "lr" in columns
