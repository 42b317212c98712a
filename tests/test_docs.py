"""The code of the documentation's pages runs, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

import moegate.experts
from moegate.experts import EXPERTS

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
MADE = {"performance.md"}  # by the build


def code(page):
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("page", [page for page in PAGES if code(page)], ids=lambda page: page.stem)
def test_code_of_page_runs(page, monkeypatch):
    monkeypatch.setattr("moegate.experts.EXPERTS", dict(EXPERTS))
    monkeypatch.setattr("moegate.estimators.options.EXPERTS", moegate.experts.EXPERTS)
    exec(compile(code(page), page.name, "exec"), {"__name__": "page"})


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" in link or link in MADE or f"{link}.md" in MADE:
            continue
        target = page.parent / link
        source = ROOT / "notebooks" / f"{target.name}.py"
        assert any(p.exists() for p in (target, Path(f"{target}.md"), Path(f"{target}.rst"), source)), link


def test_guide_lists_all_notebooks():
    assert {path.name[0] for path in (ROOT / "notebooks").glob("*.py")} <= {"0", "1"}
