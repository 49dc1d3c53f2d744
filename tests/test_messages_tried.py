"""A test exists for every error and warning of the package, and expects words that are unique to the message.

A message is recognised by its literal parts. A message that only passes on another text has none; the other text is
tested where it is written.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHORTEST = 12  # a test must expect this many characters in a row
NOT_SEARCHED = (Path(__file__).name, "test_messages.py")
# Start of messages that no test can provoke, with the reason.
UNTESTED = {"full_key:": "not a message, but text that is cut from Hydra's messages"}
AVOIDED = re.compile(r"\b(mend|anew|such as|goes? on at|cannot be told|tells?)\b")

Place = tuple[str, int]


def parsed(folder: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def literals(node: ast.AST) -> Iterator[str]:
    """Literal parts of the strings in a node, with single spaces, without docstrings and values of f-strings."""
    skipped: set[ast.AST] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.FormattedValue):
            skipped.update(ast.walk(part))
        elif isinstance(part, ast.Expr):
            skipped.add(part.value)
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part not in skipped:
            for text in re.split(r"%(?:\.\d+)?[sdgf]", part.value):
                if text.strip():
                    yield " ".join(text.split())


def assigned(function: ast.AST, name: str, before: int) -> list[ast.AST]:
    """The last value that a function assigns to a name before a line; empty if there is none."""
    found = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name and node.lineno < before
    ]
    return [max(found, key=lambda node: node.lineno).value] if found else []


def is_message(call: ast.AST) -> bool:
    return isinstance(call, ast.Call) and ast.unparse(call.func) in ("UserError", "log.warning") and bool(call.args)


def messages() -> Iterator[tuple[Place, list[str]]]:
    """Place and literal parts of every message, including the variables and functions of the module that it uses."""
    for path, tree in parsed("segment"):
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        outer = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for function in outer:
            for call in filter(is_message, ast.walk(function)):
                assert isinstance(call, ast.Call)
                parts: list[ast.AST] = [call.args[0]]
                for node in ast.walk(call.args[0]):
                    if isinstance(node, ast.Name):
                        parts += assigned(function, node.id, call.lineno)
                    elif isinstance(node, ast.Call) and ast.unparse(node.func) in functions:
                        called = functions[ast.unparse(node.func)]
                        parts += [node for node in ast.walk(called) if isinstance(node, ast.Return)]
                yield (
                    (path.relative_to(ROOT).as_posix(), call.lineno),
                    [text for part in parts for text in literals(part)],
                )


def runs(texts: list[str]) -> frozenset[str]:
    """All substrings of `SHORTEST` characters."""
    return frozenset(text[i : i + SHORTEST] for text in texts for i in range(len(text) - SHORTEST + 1))


@cache
def untested() -> dict[Place, str]:
    """Place and text of the messages of which no test expects a unique part."""
    expected: set[str] = set()
    for path, tree in parsed("tests"):
        if path.name not in NOT_SEARCHED:
            expected |= runs([text.replace("\\", "") for text in literals(tree)])
    texts_by_place = dict(messages())
    runs_by_place = {place: runs(texts) for place, texts in texts_by_place.items()}
    uses = Counter(run for own in set(runs_by_place.values()) for run in own)
    result = {}
    for place, own in runs_by_place.items():
        unique = {run for run in own if uses[run] == 1}
        if own and expected.isdisjoint(unique or own):
            result[place] = " … ".join(texts_by_place[place])
    return result


def test_every_message_is_expected_by_a_test():
    left = [
        f"{path}:{line}: {text}" for (path, line), text in untested().items() if not text.startswith((*UNTESTED, "\0"))
    ]
    assert left == []


def test_exceptions_are_still_needed():
    texts = list(untested().values())
    assert [start for start in UNTESTED if not any(text.startswith(start) for text in texts)] == []


def test_messages_are_written_in_plain_words():
    found = [(place, text) for place, texts in messages() for text in texts if AVOIDED.search(text)]
    assert found == []
