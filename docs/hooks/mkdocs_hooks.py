"""What MkDocs does beside reading `docs/`: pages that are generated at every build, so that they never go stale."""

import re
from pathlib import Path
from typing import Any

import conf_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from quoted_tables import replace_marks

import segment

PUBLIC = sorted((name for name in segment.__all__ if not name.startswith("_")), key=str.swapcase)  # functions first
# A link such as `[predict.md](predict.md#reports)`, which reads well on a code host.
FILE_LINK = re.compile(r"\[(\w+\.md)\]\((?=(?:\.\./)?\1)")
GENERATED = "Options by file"  # the empty section of the navigation that gets the pages of the configuration


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of the configuration to the navigation."""
    section = _section(config.nav or [], GENERATED)
    if section is None:
        msg = f"mkdocs.yml has no section {GENERATED!r} for the pages of the configuration; add it to nav"
        raise PluginError(msg)
    section += [{title: path} for path, (title, _) in conf_pages.pages(_root(config) / "conf").items()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the files of the site."""
    root = _root(config)
    written = {path: text for path, (_, text) in conf_pages.pages(root / "conf").items()}
    written["classes.md"] = _classes(root / "conf")
    written["api.md"] = _api()
    written["changelog.md"] = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    for path, text in written.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, *, config: MkDocsConfig, page: Page, files: Files) -> str:
    """Replace the marks of quoted tables by the tables, and names of files in links by the titles of their pages."""
    docs = Path(config.docs_dir)
    return FILE_LINK.sub(lambda link: f"[{_title(docs / link[1])}](", replace_marks(markdown, docs))


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _root(config: MkDocsConfig) -> Path:
    return Path(config.docs_dir).parent


def _section(nav: list[Any], title: str) -> list[Any] | None:
    """The list of a section of the navigation, at any depth; None if there is no such section."""
    for entry in nav:
        for name, children in entry.items() if isinstance(entry, dict) else ():
            if not isinstance(children, list):
                continue
            found = children if name == title else _section(children, title)
            if found is not None:
                return found
    return None


def _api() -> str:
    """The page of the public names of the package, which mkdocstrings fills from their docstrings."""
    intro = "# Python API\n\nThe public names of `segment`. A guide with examples: [python.md](python.md).\n"
    members = "    options:\n      members: null\n      filters: ['!^_(?!_call__)']\n"
    return "\n".join([intro, *(f"::: segment.{name}\n{members}" for name in PUBLIC)])


def _classes(conf: Path) -> str:
    """The page of the classes that `conf/` names, which mkdocstrings fills from their docstrings."""
    lines = [
        "# Classes of the configuration",
        "",
        "Every class and function of this package that a file in `conf/` names. The parameters of its constructor are",
        "the keys in YAML.",
        "",
    ]
    return "\n".join([*lines, *(f"::: {target}\n" for target in conf_pages.targets(conf))])
