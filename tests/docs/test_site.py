"""The site: every public name has its place in the reference, it builds strictly, and nothing in it leads nowhere."""

import importlib
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import fnn

ROOT = Path(__file__).parents[2]
# Rooms without a public face of their own: what they have is shown elsewhere, or is for fnn itself.
INSIDE = {"fnn.functional", "fnn.stateful", "fnn.tensor", "fnn.transforms"}


@pytest.fixture(scope="module")
def reference():
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("reference_hook", ROOT / "docs/hooks/reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_on_one_page(reference):
    for package in reference.present():
        names = Counter(entry.name for _, entries in reference.pages(package).values() for entry in entries)
        assert set(names) == set(reference.public_names(package.path)), package.path
        assert set(names.values()) == {1}, package.path


def test_every_package_is_in_the_reference(reference):
    packages = {f"fnn.{found.name}" for found in pkgutil.iter_modules(fnn.__path__) if not found.name.startswith("_")}
    shown = {package.path for package in reference.present()}
    # fnn.utils has nothing but a module of its own.
    assert packages - INSIDE <= shown | {path.rpartition(".")[0] for path in shown}


def test_what_nn_and_functional_show_is_there(reference):
    by_path = {package.path: package for package in reference.present()}
    for path, names in {
        "fnn.nn": {"Conv2d", "Parameter", "LSTM"},
        "fnn.nn.functional": {"linear", "conv2d", "lstm"},
    }.items():
        assert names <= {entry.name for _, entries in reference.pages(by_path[path]).values() for entry in entries}


def test_every_example_and_notebook_is_listed():
    text = (ROOT / "docs/examples.md").read_text()
    for path in (*(ROOT / "examples").glob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")):
        assert f"`{path.name}`" in text or f"notebooks/{path.stem}.md" in text, path.name


class Page(HTMLParser):
    """What a page of the site refers to, and the places in it that can be referred to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.places = [], [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.places |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("script", "img", "source", "iframe") and given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and given.get("href") and given.get("rel") != "canonical":
            self.loads.append(given["href"])


@pytest.mark.slow
def test_the_site_builds_strictly_and_every_link_leads_somewhere(tmp_path):
    for name in ("mkdocs", "material", "mkdocstrings", "latex2mathml"):
        pytest.importorskip(name)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-4000:]
    pages = {path: Page(path) for path in tmp_path.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 50
    broken = [
        f"{path.relative_to(tmp_path)}: {link}"
        for path, page in pages.items()
        for link in (*page.links, *page.loads)
        if not leads_somewhere(link, path, pages)
    ]
    assert broken == []
    loads = [link for page in pages.values() for link in page.loads]
    assert [link for link in loads if urlsplit(link).netloc] == []  # a reader fetches nothing from elsewhere
    text = "".join(path.read_text() for path in pages)
    assert text.count("<math") > 150
    assert not re.search(r"math::|:math:|\{http", text)


def leads_somewhere(link, path, pages):
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    return target.exists() and (not parts.fragment or unquote(parts.fragment) in pages[target].places)
