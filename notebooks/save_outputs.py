"""Run the notebook in an empty folder and store its outputs in it, so that a code host shows its pictures.

    python notebooks/save_outputs.py

An output of more than 300 kB, as the viewer and the video are, becomes a sentence: a code host would not show it.
"""

import json
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).parent / "colab.ipynb"
MAX_BYTES = 300_000
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r(?=\n)")  # colours, ends of lines


def main() -> None:
    """Run, shorten and save the notebook."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": folder}}, record_timing=False
        )
        client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_shortened(output) for output in cell.outputs]
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOK)


def _shortened(output: NotebookNode) -> NotebookNode:
    """An output without terminal codes; a large one as a sentence."""
    size = len(json.dumps(output))
    if size > MAX_BYTES:
        sentence = f"not stored, because it has {size / 1e6:.1f} MB: run the cell to see it"
        return nbformat.v4.new_output("display_data", data={"text/plain": sentence})
    if output.output_type == "stream":
        output.text = TERMINAL_CODES.sub("", output.text)
    elif "text/plain" in output.get("data", {}):
        output.data["text/plain"] = TERMINAL_CODES.sub("", output.data["text/plain"])
    return output


if __name__ == "__main__":
    main()
