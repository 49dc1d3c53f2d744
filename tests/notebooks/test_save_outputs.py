"""What is stored of the notebook's outputs."""

from nbformat.v4 import new_output
from save_outputs import MAX_BYTES, _shortened


def test_terminal_codes_are_removed():
    assert _shortened(new_output("stream", text="\x1b[31mred\x1b[0m\r\nnext\n")).text == "red\nnext\n"
    table = new_output("display_data", data={"text/plain": "\x1b[1mhead\x1b[0m", "text/html": "<b>head</b>"})
    assert _shortened(table).data == {"text/plain": "head", "text/html": "<b>head</b>"}


def test_a_large_output_becomes_a_sentence():
    video = new_output("execute_result", data={"text/html": "x" * (MAX_BYTES + 1)}, execution_count=3)
    assert _shortened(video).data == {"text/plain": "not stored, because it has 0.3 MB: run the cell to see it"}
