"""Entries of the catalogue of public data sets, and the same ones led to a server of the tests."""

from dataclasses import replace

from hydra.utils import instantiate
from layouts import served
from omegaconf import OmegaConf

from segment.datasets.fetch.catalogue import FOLDER


def catalogued(name):
    return instantiate(OmegaConf.load(FOLDER / f"{name}.yaml"), _convert_="all")


def on_this_machine(entry, server, name, script):
    """The set with its URLs led to the test's server, and no checksums, which are of the true archives."""
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
