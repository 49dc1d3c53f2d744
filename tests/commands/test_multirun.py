from segment.commands.multirun import Job, table


def test_a_table_shows_the_overrides_that_differ_between_jobs():
    jobs = [
        Job(0, ["task=a", "seed=0"], "0.9012", "out/0"),
        Job(1, ["task=a", "seed=10"], "failed: no CT\nat all", "out/1"),
    ]
    assert table(jobs).splitlines() == [
        "job  overrides  result                folder",
        "0    seed=0     0.9012                out/0",
        "1    seed=10    failed: no CT at all  out/1",
    ]


def test_without_jobs_there_is_only_the_header():
    assert table([]) == "job  overrides  result  folder"
