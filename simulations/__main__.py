"""Command line: `python -m simulations list | run NAME | report [NAME] | all`."""

import argparse
import sys
import tempfile
from pathlib import Path

from .designs import BY_NAME, EXPERIMENTS
from .report import report
from .run import quickened, run
from .table import RESULTS, Table


def parser():
    """Arguments."""
    out = argparse.ArgumentParser("simulations", description="Simulations that check convergence rates.")
    commands = out.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="names of the experiments")
    for name, text in (("run", "one experiment"), ("all", "all of them"), ("report", "figures and README.md")):
        command = commands.add_parser(name, help=text)
        if name != "all":
            command.add_argument("name", nargs="?" if name == "report" else None, choices=[*BY_NAME])
        command.add_argument("--quick", action="store_true", help="few sizes and replicates, in a folder of their own")
        command.add_argument("--workers", type=int, default=2)
        command.add_argument("--backend", choices=["loky", "dask"], default="loky")
        command.add_argument("--folder", type=Path, help="where results are")
    return out


def progress(line):
    """The line in place of the last one."""
    print(f"\r{line}", end="", file=sys.stderr, flush=True)


def main():
    """Do what the command line says."""
    given = parser().parse_args()
    if given.command == "list":
        for experiment in EXPERIMENTS:
            low, *_, high = experiment.sizes
            print(f"{experiment.name:24s} {experiment.n_fits:6d} fits  n {low} to {high}")
        return
    folder = given.folder or (Path(tempfile.gettempdir()) / "moegate-simulations-quick" if given.quick else RESULTS)
    chosen = [experiment for experiment in EXPERIMENTS if getattr(given, "name", None) in (None, experiment.name)]
    chosen = [quickened(experiment) if given.quick else experiment for experiment in chosen]
    for experiment in chosen if given.command != "report" else ():
        run(experiment, Table(experiment, folder), given.workers, given.backend, progress).pack()
        print(file=sys.stderr)
    if len(chosen) == 1:
        print(report(chosen, folder))
    else:
        page = (Path(__file__).parent if folder == RESULTS else folder) / "README.md"
        report(chosen, folder, page)
        print(f"{page} is written.")


if __name__ == "__main__":
    main()
