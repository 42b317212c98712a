"""Sphinx: the guide from the notebooks, the reference from docstrings, the performance page from the benchmarks."""

import os
import re
import sys
from functools import partial
from pathlib import Path

import jupytext
from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGES = sorted({"performance", *(path.stem for path in HERE.glob("*.md"))})
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"  # of the notebooks' kernels

import moegate  # noqa: E402

project, author = "moegate", "moegate developers"
release = version = moegate.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_nb"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = False
suppress_warnings = ["ref.citation", "mystnb.unknown_mime_type"]  # references are listed, not cited in the text

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = os.environ.get("DOCS_EXECUTION", "off")  # make docs says "cache"
nb_execution_cache_path = str(HERE / "_build" / "cache")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_title = "moegate"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["moegate.css"]
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 4,
    # Not in the guide, whose chapters are listed at the left.
    "secondary_sidebar_items": {name: ["page-toc"] for name in (*PAGES, "api", "generated/*")},
}
html_math_renderer = "mathml"
html_sidebars = {name: [] for name in PAGES}  # no pages below them to list


def write_if_new(path, text):
    """Write a file only where its text differs, so that a second build reads no page again."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def convert_notebooks():
    """Notebooks of the guide from the percent scripts."""
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        notebook = jupytext.read(path)
        for i, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{i}"  # a fresh one each time would run the cache in vain
            if "answer" in cell.metadata.get("tags", []):
                cell.metadata["tags"] = [*cell.metadata["tags"], "hide-cell"]
        write_if_new(HERE / "guide" / f"{path.stem}.ipynb", jupytext.writes(notebook, fmt="ipynb"))


def collect_results():
    """The performance page: the files that the benchmarks write, one section each."""
    intro = (
        "# Performance\n\nWhat the benchmarks measured, as they wrote it: speed by `make bench`, the rest by the "
        "command that each section names. Times belong to the machine that a section names; ratios travel better.\n"
    )
    parts = [
        re.sub(r"\]\(([\w.]+\.png)\)", r"](../benchmarks/\1)", path.read_text())
        for path in sorted((ROOT / "benchmarks").glob("*.md"), key=lambda p: p.stem != "results")
    ]
    text = "\n".join([intro, *(re.sub(r"^#", "##", part, flags=re.MULTILINE) for part in parts)])
    write_if_new(HERE / "performance.md", text)


def escape_bars(app, what, name, obj, options, lines):
    """Bars of absolute values and conditions stay bars: reStructuredText would substitute between two of them."""
    end = lines.index("Examples") if "Examples" in lines else len(lines)
    for i, line in enumerate(lines[:end]):
        parts = re.split(r"(`+[^`]*`+)", line)
        lines[i] = "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in parts)


def write_mathml(self, node, block):
    """Formulas as MathML, which browsers draw without scripts and without a network."""
    tag = "div" if block else "span"
    self.body.append(f'<{tag} class="math">{tex2mathml(node.astext(), as_block=block)}</{tag}>')
    raise SkipNode


def setup(app):
    """Sphinx's hook."""
    renderers = [(partial(write_mathml, block=block), None) for block in (False, True)]
    app.add_html_math_renderer("mathml", *renderers)
    app.connect("autodoc-process-docstring", escape_bars, priority=100)  # before numpydoc


convert_notebooks()
collect_results()
