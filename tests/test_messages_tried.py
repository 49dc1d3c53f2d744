"""Every error and warning of the package is provoked by some test, which expects words that no other message has.

A message is looked for by its literal parts; what a message only passes on has none and is tried where it is written.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHORTEST = 12  # characters that a test has to expect in a row
NOT_HERE = (Path(__file__).name, "test_messages.py")
# Start of messages that no test can provoke, with the reason.
UNTRIED = {"full_key:": "no message: what is left out of Hydra's"}
UNPLAIN = re.compile(r"\b(mend|anew|such as|goes? on at|cannot be told|tells?)\b")

Place = tuple[str, int]


def parsed(folder: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def literals(node: ast.AST) -> Iterator[str]:
    """Literal parts of the strings within a node, with single spaces; docstrings and what is filled in left out."""
    filled = {part for one in ast.walk(node) if isinstance(one, ast.FormattedValue) for part in ast.walk(one)}
    filled |= {one.value for one in ast.walk(node) if isinstance(one, ast.Expr)}
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and one not in filled:
            yield from (" ".join(part.split()) for part in re.split(r"%(?:\.\d+)?[sdgf]", one.value) if part.strip())


def written(function: ast.AST, name: str, before: int) -> list[ast.AST]:
    """What a function last assigns to a name before a line."""
    found = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name and node.lineno < before
    ]
    return [max(found, key=lambda node: node.lineno).value] if found else []


def is_message(call: ast.AST) -> bool:
    return isinstance(call, ast.Call) and ast.unparse(call.func) in ("UserError", "log.warning") and bool(call.args)


def messages() -> Iterator[tuple[Place, list[str]]]:
    """Literal parts of every message, also of the variables and of the module's functions that it is made of."""
    for path, tree in parsed("segment"):
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        outer = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for function in outer:
            for call in filter(is_message, ast.walk(function)):
                assert isinstance(call, ast.Call)
                parts: list[ast.AST] = [call.args[0]]
                for node in ast.walk(call.args[0]):
                    if isinstance(node, ast.Name):
                        parts += written(function, node.id, call.lineno)
                    elif isinstance(node, ast.Call) and ast.unparse(node.func) in functions:
                        called = functions[ast.unparse(node.func)]
                        parts += [node for node in ast.walk(called) if isinstance(node, ast.Return)]
                yield (
                    (path.relative_to(ROOT).as_posix(), call.lineno),
                    [text for part in parts for text in literals(part)],
                )


def runs(texts: list[str]) -> frozenset[str]:
    """All runs of `SHORTEST` characters."""
    return frozenset(text[i : i + SHORTEST] for text in texts for i in range(len(text) - SHORTEST + 1))


@cache
def untried() -> dict[Place, str]:
    """Place and text of the messages of which no test expects a part that is theirs alone."""
    expected: set[str] = set()
    for path, tree in parsed("tests"):
        if path.name not in NOT_HERE:
            expected |= runs([text.replace("\\", "") for text in literals(tree)])
    found = {place: (" … ".join(texts), runs(texts)) for place, texts in messages()}
    uses = Counter(run for own in {own for _, own in found.values()} for run in own)
    return {
        place: text
        for place, (text, own) in found.items()
        if own and expected.isdisjoint({run for run in own if uses[run] == 1} or own)
    }


def test_every_message_is_expected_by_a_test():
    left = [
        f"{path}:{line}: {text}" for (path, line), text in untried().items() if not text.startswith((*UNTRIED, "\0"))
    ]
    assert left == []


def test_exceptions_are_still_needed():
    texts = list(untried().values())
    assert [start for start in UNTRIED if not any(text.startswith(start) for text in texts)] == []


def test_messages_are_written_in_plain_words():
    found = [(place, word[0]) for place, texts in messages() for text in texts if (word := UNPLAIN.search(text))]
    assert found == []
