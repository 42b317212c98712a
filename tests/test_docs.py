"""The code of README and documentation runs and prints what they show, and their links lead somewhere."""

import contextlib
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import moegate.experts
from moegate.experts import EXPERTS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
MADE = {"performance.md"}  # by the build
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```\n(.*?)^```$)?", flags=re.DOTALL | re.MULTILINE)


def blocks(page):
    """Pairs of code and the output shown right below it, empty where none is."""
    return BLOCK.findall(page.read_text())


def words(text):
    return [line.split() for line in text.splitlines() if line.strip()]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the files that examples read, and families that they may add to."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 2))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", np.where(X[:, 0] > 0, X[:, 1], -2.0) + 0.5 * rng.standard_normal(2000))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("moegate.experts.EXPERTS", dict(EXPERTS))
    monkeypatch.setattr("moegate.estimators.options.EXPERTS", moegate.experts.EXPERTS)
    yield
    plt.close("all")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # some examples are of such fits
@pytest.mark.parametrize(
    "page",
    [pytest.param(README, marks=pytest.mark.slow), *(page for page in PAGES if blocks(page))],
    ids=lambda page: page.stem,
)
def test_code_prints_what_the_page_shows(page, place):
    names = {"__name__": "page"}
    for code, shown in blocks(page):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, page.name, "exec"), names)
        assert not shown or words(printed.getvalue()) == words(shown), code
        assert not re.search(r"\d\.\d{9}", shown), f"more digits than another processor would give: {shown}"


def target(page, link):
    """The file that a link of a page means, without the ending that Sphinx adds."""
    found = page.parent / link
    names = (found, Path(f"{found}.md"), Path(f"{found}.rst"), ROOT / "notebooks" / f"{found.name}.py")
    return next((path for path in names if path.exists()), None)


def anchors(page):
    """Anchors of the headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link, anchor in re.findall(r"\]\(([^)#]+)(?:#([^)]*))?\)", page.read_text()):
        if "://" in link or link in MADE or f"{link}.md" in MADE:
            continue
        if link.startswith("generated/moegate."):
            assert hasattr(moegate, link.rpartition(".")[2]), link
            continue
        found = target(page, link)
        assert found, link
        assert not anchor or anchor in anchors(found), f"{link}#{anchor}"


class Links(HTMLParser):
    """Addresses and anchors of a built page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        self.addresses += [attrs[name] for name in ("href", "src") if attrs.get(name)]


@pytest.mark.skipif("DOCS_EXECUTION" not in os.environ, reason="make docs runs it on the pages that it has built")
def test_built_pages_link_to_each_other_and_need_no_network():
    html = ROOT / "docs/_build/html"
    pages = {path: Links(path.read_text()) for path in html.rglob("*.html") if "_static" not in path.parts}
    assert html / "index.html" in pages
    for path, page in pages.items():
        assert not re.search(r'(?:src|stylesheet" href)="https?:', path.read_text()), path
        for address in page.addresses:
            if re.match(r"\w+:", address) or address in ("#", ""):
                continue
            name, _, anchor = address.partition("#")
            found = (path.parent / name.partition("?")[0]).resolve() if name else path
            assert found.exists(), f"{path}: {address}"
            assert not anchor or found not in pages or anchor in pages[found].anchors, f"{path}: {address}"


def test_guide_lists_all_notebooks():
    assert {path.name[0] for path in (ROOT / "notebooks").glob("*.py")} <= {"0", "1"}
