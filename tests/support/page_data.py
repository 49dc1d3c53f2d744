"""Reads the data of a page back."""

import json
import re


def data_of(path):
    """The data that the scripts of a page read."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
