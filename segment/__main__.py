"""`segment <command>`: lists the commands and imports none before it is chosen."""

import os
import runpy
import sys

from segment import __version__
from segment.positional import as_override
from segment.program import begin_program

COMMANDS = {
    "prepare": ("get data sets and preprocess them once", "segment prepare data=flare22 accept_licence=true"),
    "doctor": ("inspect a data set before training", "segment doctor data=flare22"),
    "train": ("train a network, test its best checkpoint", "segment train experiment=quick trainer.max_epochs=5"),
    "sweep": ("search for the best settings", "segment sweep sweep=quick trials=24"),
    "evaluate": ("score a checkpoint on labelled CTs", "segment evaluate ckpt=best.ckpt data=flare22"),
    "compare": ("tell which runs are better, and how sure that is", "segment compare outputs/quick/sweeps/<date_time>"),
    "merge": ("one table of several runs, such as folds", "segment merge runs=outputs/quick/sweeps/<date_time>"),
    "predict": ("segment CTs", "segment predict ckpt=best.ckpt input=ct.nii.gz output=masks"),
    "demo": ("train on synthetic CTs, then segment a real one", "segment demo"),
}
# Those with a conf/<command>.yaml.
CONFIGURED = ("prepare", "doctor", "train", "sweep", "evaluate", "compare", "merge", "predict")
POSITIONAL = {"compare": "runs"}  # the key of words that stand without one
# What is asked of the configuration, not of the command.
QUESTIONS = {"-h", "--help", "--hydra-help", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion"}


def main() -> None:
    """Run a command as if by `python -m segment.<command>`.

    Running it as a module makes `__main__` name the command, which lets Lightning start further processes (DDP).
    """
    begin_program()
    arguments = sys.argv[1:]
    if arguments[:1] in (["-sc"], ["--shell-completion"]):
        _complete()
    elif not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
    elif arguments[0] == "--version":
        print(f"segment {__version__}")
    elif arguments[0] not in COMMANDS:
        print(f"error: no command {arguments[0]!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    else:
        _run(arguments[0], arguments[1:])


def _run(command: str, arguments: list[str]) -> None:
    if command in POSITIONAL:
        arguments = as_override(POSITIONAL[command], arguments)
    sys.argv = [sys.argv[0], *arguments]
    if command in CONFIGURED and not QUESTIONS.isdisjoint(arguments):
        # Hydra answers by itself: nobody should wait for torch at a press of the tab key.
        from segment.door import door

        door(command)(_never_called)()
    else:
        runpy.run_module(f"segment.{command}", run_name="__main__", alter_sys=True)


def _never_called(cfg: object) -> None:
    raise AssertionError(cfg)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}\n  {'':<{width}}    {example}" for name, (what, example) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: segment <command> [key=value ...]\n",
            *lines,
            "",
            "  segment <command> --help      what can be set",
            "  segment <command> --cfg job   the composed configuration",
            "  segment train -m key=a,b      one run for each value",
            '  eval "$(segment -sc install=bash)"   tab completion',
        ]
    )


def _complete() -> None:
    """Install completion, or answer the shell's query, which Hydra's script sends without the command's name."""
    line = os.environ.get("COMP_LINE", "")
    program, _, rest = line.partition(" ")
    command, space, overrides = rest.lstrip().partition(" ")
    if "query" not in " ".join(sys.argv[1:]):
        _run("train", sys.argv[1:])
    elif command in CONFIGURED and space:
        os.environ["COMP_LINE"] = f"{program} {overrides}"
        _run(command, sys.argv[1:])
    elif not space:
        print("\n".join(name for name in COMMANDS if name.startswith(command)))


if __name__ == "__main__":
    main()
