"""Folders of searches, grids and inspections as the commands write them, with given content."""

import csv
import json

import numpy as np
import yaml

from segment.doctor.contact_sheet import Entry, write_sheets
from segment.doctor.finding import Finding, by_case, worst
from segment.doctor.findings_table import findings_json
from segment.doctor.thumbnail import render_thumbnail

PARAMETERS = ("optimizer.lr", "model/net")


def write_search(folder, trials, goal="maximize", pages=()):
    """Write the folder of `segment sweep`.

    Args:
        folder: The folder.
        trials: State, value, learning rate, network and reason of each trial.
        goal: maximize or minimize.
        pages: Numbers of trials whose run has a page.
    """
    folder.mkdir(parents=True)
    with (folder / "trials.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["trial", "state", "value", *PARAMETERS, "why", "epochs", "seeds", "start_time", "end_time"])
        for number, (state, value, lr, net, why) in enumerate(trials):
            table.writerow([number, state, value, lr, net, why, 3, 1, "2026-11-29 10:00:00", ""])
            (folder / "trials" / str(number)).mkdir(parents=True)
            (folder / "trials" / str(number) / "config.yaml").write_text("seed: 0\n")
    for number in pages:
        (folder / "trials" / str(number) / "index.html").write_text("a page")
    (folder / "wandb_sweep.yaml").write_text(yaml.safe_dump({"metric": {"name": "val/dice/mean", "goal": goal}}))
    space = {"optimizer": {"lr": {"low": 1e-4, "high": 1e-2, "log": True}}, "model/net": ["vnet", "unet"]}
    (folder / "config.yaml").write_text(yaml.safe_dump({"page": True, "space": space}))
    (folder / "importance.csv").write_text("parameter,share\noptimizer.lr,0.75\nmodel/net,0.25\n")
    (folder / "best.yaml").write_text(yaml.safe_dump({"overrides": ["experiment=smoke", "optimizer.lr=0.001"]}))
    return folder


def write_grid(folder, jobs, finished=True):
    """Write the folder of a grid.

    Args:
        folder: The folder.
        jobs: Overrides and validation scores of each job.
        finished: Whether the jobs ended without an error.
    """
    folder.mkdir(parents=True)
    (folder / "multirun.yaml").write_text("hydra: {}\n")
    for number, (overrides, scores) in enumerate(jobs):
        job = folder / str(number)
        job.mkdir()
        (job / "config.yaml").write_text("monitor: val/dice/mean\nmonitor_mode: max\npage: true\n")
        (job / "environment.json").write_text(json.dumps({"overrides": overrides, "hours": 0.5, "finished": finished}))
        rows = "".join(f"{step},{score}\n" for step, score in enumerate(scores))
        (job / "metrics.csv").write_text(f"step,val/dice/mean\n{rows}")
    return folder


def write_inspection(folder, names, findings):
    """Write the folder of `segment doctor`, with the same functions.

    Args:
        folder: The folder.
        names: Ids of cases with a picture.
        findings: Case, check, severity and sentence of each finding.
    """
    folder.mkdir(parents=True)
    found = [Finding(case, check, severity, what, "correct it") for case, check, severity, what in findings]
    hu = np.full((40, 40, 40), 40, np.int16)
    classes = np.zeros(hu.shape, np.uint8)
    classes[10:20, 10:20, 10:20] = 1
    picture = render_thumbnail(hu, classes, np.diag([5.0, 5, 5, 1]), ["liver"])
    own = by_case(found)
    write_sheets(folder, [Entry(name, picture, worst(own.get(name, ())), "") for name in names], ["liver"])
    (folder / "findings.json").write_text(findings_json(len(names), found), encoding="utf-8")
    return folder
