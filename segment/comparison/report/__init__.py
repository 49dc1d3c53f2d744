"""Reports of a comparison: verdicts, tables, a figure, an HTML page and a W&B run."""
