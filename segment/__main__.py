"""`segment <command>`: list the commands, or check the options of one and run it."""

import os
import runpy
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from segment import __version__
from segment.errors import UserError
from segment.runtime.garbage import collect_as_usual
from segment.runtime.start import set_up_process

COMMANDS = {
    "prepare": ("get data sets and preprocess them once", "segment prepare data=flare22 accept_licence=true"),
    "doctor": ("inspect a data set before training", "segment doctor data=flare22"),
    "plan": ("plan a recipe for a data set and a machine", "segment plan data=flare22 hours=8 device=24GB"),
    "train": ("train a network, test its best checkpoint", "segment train experiment=quick trainer.max_epochs=5"),
    "sweep": ("search for the best settings", "segment sweep sweep=quick trials=24"),
    "curve": ("how many labelled CTs a Dice needs, and which", "segment curve data=flare22 'sizes=[5,10,20]'"),
    "evaluate": ("score a checkpoint on labelled CTs", "segment evaluate ckpt=best.ckpt data=flare22"),
    "compare": ("show which runs are better, and how sure that is", "segment compare outputs/quick/sweeps/<date_time>"),
    "merge": ("one table of several runs, e.g. folds", "segment merge runs=outputs/quick/sweeps/<date_time>"),
    "predict": ("segment CTs", "segment predict input=ct.nii.gz output=masks"),
    "export": ("write a checkpoint as one file for ONNX", "segment export ckpt=best.ckpt output=organs.onnx"),
    "view": ("one page of a prediction, run, sweep or data set", "segment view masks input=scans"),
    "demo": ("train on synthetic CTs, then segment a real one", "segment demo"),
}
# Commands with a conf/<command>.yaml, and their required keys.
CONFIGURED = {
    **dict.fromkeys(("prepare", "doctor", "plan", "train", "sweep", "curve", "compare"), ()),
    "evaluate": ("ckpt",),
    "merge": ("runs",),
    "predict": ("input", "output"),
    "export": ("output",),
    "view": ("path",),
}
# The key for words without one: `segment compare a b` means `runs=[a,b]`.
POSITIONAL = {"compare": "runs", "view": "path"}
# Folder of the user's own configuration, where `segment plan` writes experiments. It is searched if it exists.
PLANS = "plans"
# Hydra handles these options.
HYDRA_OPTIONS = ("--hydra-help", "--version", "--cfg", "--info", "-sc", "--shell-completion")


def main() -> None:
    """Run a command like `python -m segment.commands.<command>`.

    The command must be the `__main__` module, because Lightning starts further processes from it (DDP).
    """
    set_up_process()
    arguments = sys.argv[1:]
    try:
        if arguments[:1] in (["-sc"], ["--shell-completion"]):
            _complete()
        elif not arguments or arguments[0] in ("-h", "--help", "help"):
            print(_help())
        elif arguments[0] == "--version":
            print(f"segment {__version__}")
        elif arguments[0] not in COMMANDS:
            raise UserError(_unknown_command(arguments[0]))
        elif arguments[0] in CONFIGURED:
            _run_configured(arguments[0], arguments[1:])
        else:
            _run(arguments[0], arguments[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        collect_as_usual()


def _unknown_command(word: str) -> str:
    from segment.configuration.nearest import nearest_word

    near = nearest_word(word, COMMANDS)
    remedy = f"did you mean {near}?" if near else f"there are {', '.join(COMMANDS)}"
    return f"there is no command {word}; {remedy}"


def _run_configured(command: str, words: list[str]) -> None:
    """Check the options of a command, then import and run it.

    The check does not import torch, so a typing error is reported at once.

    Raises:
        UserError: When an option is wrong.
    """
    from segment.configuration.arguments import as_override, parse_arguments

    what, example = COMMANDS[command]
    arguments = parse_arguments(words, paths=command in POSITIONAL)
    if arguments.positional and command in POSITIONAL:
        gathered = as_override(POSITIONAL[command], arguments.positional)
        arguments = parse_arguments([*arguments.options, *arguments.overrides, gathered])
    if arguments.value_of("--config-dir") is None and Path(PLANS).is_dir():
        arguments = parse_arguments([*arguments.rest, *arguments.options, "--config-dir", PLANS])
    line = [*arguments.options, *arguments.overrides]
    if arguments.has("-h", "--help"):
        from segment.configuration.help import help_page

        print(help_page(command, what, example, arguments.overrides, arguments.value_of("--config-dir")))
    elif arguments.has(*HYDRA_OPTIONS):
        from segment.commands.command import hydra_command

        sys.argv = [sys.argv[0], *line]
        hydra_command(command)(_never_called)()
    else:
        from segment.configuration.composition import check_arguments

        check_arguments(command, arguments, CONFIGURED[command], example)
        _run(command, line)


def _run(command: str, arguments: list[str]) -> None:
    sys.argv = [sys.argv[0], *arguments]
    runpy.run_module(f"segment.commands.{command}", run_name="__main__", alter_sys=True)


def _never_called(cfg: object) -> None:
    raise AssertionError(cfg)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = []
    for name, (what, example) in COMMANDS.items():
        lines += [f"  {name:<{width}}  {what}", f"  {'':<{width}}    {example}"]
    return "\n".join(
        [
            "usage: segment <command> [key=value ...]\n",
            *lines,
            "",
            "  segment <command> --help      list the options",
            "  segment <command> --cfg job   show the composed configuration",
            "  segment train -m key=a,b      one run for each value",
            '  eval "$(segment -sc install=bash)"   tab completion',
        ]
    )


def _complete() -> None:
    """Install tab completion, or answer a query of the shell.

    Hydra's completion script does not know our commands, so we remove the command from the line before Hydra reads it.
    """
    line = os.environ.get("COMP_LINE", "")
    program, _, rest = line.partition(" ")
    command, space, overrides = rest.lstrip().partition(" ")
    if "query" not in " ".join(sys.argv[1:]):
        _run_configured("train", sys.argv[1:])
    elif command in CONFIGURED and space:
        from segment.configuration.completion import config_dir_of_line, filter_completions

        os.environ["COMP_LINE"] = f"{program} {overrides}"
        folder = config_dir_of_line(overrides)
        words = [*sys.argv[1:], f"--config-dir={folder}"] if folder else sys.argv[1:]
        with redirect_stdout(StringIO()) as found:
            _run_configured(command, words)
        separator = "\n" if "fish" in sys.argv[-1] else " "
        candidates = found.getvalue().rstrip("\n").split(separator)
        print(separator.join(filter_completions(command, candidates, folder)))
    elif not space:
        print("\n".join(name for name in COMMANDS if name.startswith(command)))


if __name__ == "__main__":
    main()
