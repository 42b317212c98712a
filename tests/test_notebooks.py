"""Every notebook runs on a real kernel, its asserts hold, and its outputs are not in git."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, monkeypatch):
    import jupytext
    from nbclient import NotebookClient

    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    notebook = jupytext.read(path)
    assert any("answer" in cell.metadata.get("tags", []) for cell in notebook.cells), "no answers to the exercises"
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()


def test_notebooks_are_text():
    assert len(NOTEBOOKS) >= 10 and not list((ROOT / "notebooks").glob("*.ipynb"))
