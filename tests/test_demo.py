"""The first command of the README: a table and three pictures."""

import pytest

from moegate import demo


def test_demo_prints_a_table_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "SIZES", (1, 2))
    demo.main(["--folder", str(tmp_path / "demo")])
    out = capsys.readouterr().out
    for name in demo.DATA:
        assert (tmp_path / "demo" / f"{name}.png").stat().st_size > 20_000
        lines = [line for line in out.splitlines() if line.startswith(name)]
        assert len(lines) == 2 and sum("*" in line for line in lines) == 1
    assert "-1369.56" in out  # engel, two experts: the best mode, in units of the data


def test_demo_refuses_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        demo.main(["--colour", "red"])
    assert "--colour" in capsys.readouterr().err
