"""Results on file: one line per replicate, appended and synced; a line that was cut off is dropped and done again."""

import csv
import gzip
import io
import os
from dataclasses import dataclass
from pathlib import Path

from .arms import MEASURED

RESULTS = Path(__file__).with_name("results")
KEY = ("arm", "n", "replicate")


@dataclass(frozen=True)
class Table:
    """The rows of one experiment.

    Parameters
    ----------
    experiment : Experiment
    folder : Path
        `NAME.csv` while it runs, packed to `NAME.csv.gz`, sorted by key, when asked to.
    """

    experiment: object
    folder: Path = RESULTS

    @property
    def columns(self):
        """The task's own, what is measured, and last the seconds, which are not reproducible."""
        return [*KEY, *MEASURED, *self.experiment.extras, "seconds"]

    @property
    def path(self):
        return self.folder / f"{self.experiment.name}.csv"

    @property
    def packed(self):
        return self.folder / f"{self.experiment.name}.csv.gz"

    def read(self):
        """Complete rows as dicts of text, one for each key, in their order; a column that a file lacks is nan."""
        text = self.path.read_text() if self.path.exists() else self._unpacked()
        whole = text[: text.rfind("\n") + 1]
        rows = [row for row in csv.DictReader(io.StringIO(whole)) if None not in row and None not in row.values()]
        by_key = {self._order(row): {name: row.get(name, "nan") for name in self.columns} for row in rows}
        return [by_key[key] for key in sorted(by_key)]

    def _unpacked(self):
        return gzip.decompress(self.packed.read_bytes()).decode() if self.packed.exists() else ""

    def _order(self, row):
        names = [arm.name for arm in self.experiment.arms]
        return names.index(row["arm"]), int(row["n"]), int(row["replicate"])

    def begin(self):
        """Keys of the finished rows, after writing back only these, in place at once."""
        rows = self.read()
        self.folder.mkdir(parents=True, exist_ok=True)
        replaced(self.path, self._text(rows).encode())
        return {tuple(row[name] for name in KEY) for row in rows}

    def _text(self, rows):
        out = io.StringIO()
        writer = csv.DictWriter(out, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()

    def append(self, rows):
        """Write rows and wait until they are on disk."""
        out = io.StringIO()
        csv.DictWriter(out, self.columns, lineterminator="\n").writerows(rows)
        with self.path.open("a") as file:
            file.write(out.getvalue())
            file.flush()
            os.fsync(file.fileno())

    def pack(self):
        """The finished rows, sorted and compressed; the same rows give the same bytes."""
        if self.path.exists():
            replaced(self.packed, gzip.compress(self._text(self.read()).encode(), mtime=0))
            self.path.unlink()


def replaced(path, content):
    """Write a file in one step."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)


def text(value):
    """A number with nine digits."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)
