"""Imports point down: a module sees its own layer and those below it, without cycles."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "moegate"
LAYERS = [  # low to high
    "_kernels",
    "blocks parallel roots partitions",
    "gates experts solvers penalties voronoi",
    "model passes assembly geometry",
    "likelihood",
    "initialization runs fitting sparse relaxed",
    "estimators metrics",
    "inference selection resampling bootstrap ratio diagnostics dendrogram formula datasets",
    "plotting",
    "demo",
    "__init__",
]
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units.split()}
ONLY = {  # units that see less than what lies below them
    "gates": {"_kernels", "blocks"},
    "experts": {"_kernels", "blocks"},
    "solvers": {"penalties"},
    "penalties": set(),
    "voronoi": set(),
}
LAZY = {"matplotlib", "statsmodels", "pandas", "polars", "pyarrow", "dask", "distributed", "rich", "formulaic"}


def imports(path, package):
    """Full dotted names that the module imports outside functions and classes."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    for top in ast.parse(path.read_text()).body:
        for node in () if isinstance(top, ast.FunctionDef | ast.ClassDef) else ast.walk(top):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                stem = [*parts[: len(parts) - node.level]] if node.level else []
                yield from (".".join([*stem, *filter(None, [node.module]), alias.name]) for alias in node.names)


def complaint(source, name):
    """What is wrong with ``source`` (a file or folder of the package) importing ``name``, or None."""
    root, unit = (name.split(".") + [""])[:2]
    if root in LAZY:
        return f"{source} imports {root} outside a function"
    if root != "moegate" or unit == source:
        return None
    if unit not in LEVEL:
        return f"{source} imports {name}, which has no place in LAYERS"
    if unit not in ONLY.get(source, LEVEL) or LEVEL[unit] > LEVEL.get(source, len(LAYERS)):
        return f"{source} must not import {unit}"


def survey(package):
    """All complaints about the package, one line each."""
    files = [(p, p.relative_to(package).with_suffix("").parts) for p in sorted(package.rglob("*.py"))]
    lines = [f"{parts[0]} has no place in LAYERS" for _, parts in files if parts[0] not in LEVEL]
    graph = {}
    for path, parts in files:
        names = set(imports(path, package))
        lines += filter(None, (complaint(parts[0], name) for name in names))
        if path.name != "__init__.py":
            graph[".".join(("moegate", *parts))] = names | {name.rpartition(".")[0] for name in names}
    try:
        TopologicalSorter({m: seen & graph.keys() for m, seen in graph.items()}).prepare()
    except CycleError as error:
        lines.append("cycle: " + " -> ".join(error.args[1]))
    return sorted(set(lines))


def test_imports_point_down():
    assert survey(PACKAGE) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"likelihood": "from .model import M", "gates/gate": "from .._kernels import f\nfrom .top_k import g"}, None),
        ({"estimators/regressor": "def fit():\n    import matplotlib\n    from ..plotting import Display"}, None),
        ({"gates/gate": "from ..experts.gaussian import Gaussian"}, "gates must not import experts"),
        ({"experts/gaussian": "from .. import gates"}, "experts must not import gates"),
        ({"solvers/em": "from .._kernels import logsumexp"}, "solvers must not import _kernels"),
        ({"model": "import moegate.likelihood"}, "model must not import likelihood"),
        ({"model": "from . import Estimator"}, "model imports moegate.Estimator, which has no place in LAYERS"),
        ({"plotting/fit": "import matplotlib.pyplot as plt"}, "plotting imports matplotlib outside a function"),
        ({"blocks": "if True:\n    from pandas import DataFrame"}, "blocks imports pandas outside a function"),
        ({"helpers": "import numpy"}, "helpers has no place in LAYERS"),
        ({"gates/a": "from .b import f", "gates/b": "from . import a"}, "cycle: moegate.gates.a -> "),
    ],
)
def test_survey_can_fail(tmp_path, files, expected):
    for name, text in files.items():
        path = tmp_path / "moegate" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    lines = survey(tmp_path / "moegate")
    assert lines == [] if expected is None else len(lines) == 1 and lines[0].startswith(expected)
