"""Entries of the catalogue of public data sets, with URLs of a local server."""

from dataclasses import replace

from hydra.utils import instantiate
from layouts import served
from omegaconf import OmegaConf

from segment.datasets.fetch.catalogue import FOLDER


def catalogued(name):
    return instantiate(OmegaConf.load(FOLDER / f"{name}.yaml"), _convert_="all")


def on_this_machine(entry, server, name, script):
    """The entry with URLs of a local server. Checksums are removed, because they belong to the real archives.

    Returns:
        The entry, and the scripts of the server by the end of their URLs.
    """
    scripts = {end: script(content) for end, content in served(name).items()}
    for end, one in scripts.items():
        server.serve(f"{name}/{end}", one)
    files = [
        replace(file, url=server.url(f"{name}/{end}"), size=None, sha256=None, md5=None)
        for listed in entry.files
        for file in listed.each()
        for end in scripts
        if file.url.endswith(f"/{end}")
    ]
    return replace(entry, files=files), scripts
