"""`segment merge`: merge the test cases of several runs into one table, e.g. the folds of a cross-validation."""

from pathlib import Path

from omegaconf import DictConfig, ListConfig

from segment.commands.command import hydra_command
from segment.comparison.merge_cases import find_tables, merge_cases, write_merged
from segment.errors import UserError
from segment.metrics.cases_csv import print_scores


def merge(cfg: DictConfig) -> None:
    """Write the merged cases.csv and print the means over patients.

    Raises:
        UserError: When there is nothing to merge, the runs have different organs, or the output exists.
    """
    runs = list(cfg.runs) if isinstance(cfg.runs, ListConfig) else [str(cfg.runs)]
    tables = find_tables(runs)
    default = Path(runs[0]) / "cases.csv" if len(runs) == 1 else "cases.csv"
    output = Path(cfg.output or default)
    if output.exists() and not cfg.overwrite:
        msg = f"{output} exists; choose another output=, or overwrite=true"
        raise UserError(msg)
    cases = merge_cases(tables)
    write_merged(output, cases)
    print_scores(output)
    print(f"{len(cases)} cases of {len(tables)} runs: {output}")


main = hydra_command("merge")(merge)

if __name__ == "__main__":
    main()
