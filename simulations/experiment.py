"""What an experiment is."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Experiment:
    """What is run and what is expected of it.

    Parameters
    ----------
    name : str
    arms : tuple of Arm
        All arms see the same data.
    sizes : tuple of int
    replicates : int
    slopes : tuple of str
        Columns whose log-log slope is reported.
    span : (int, int)
        The range of n on which slopes are taken.
    quick : (tuple of int, int)
        Sizes and replicates of a quick run.
    across : callable, optional
        From rows to further pairs of an arm and its rows, with another quantity in the place of n.
    across_span : (int, int)
        Its range.
    facet : callable, optional
        From an arm to the title of its row of the figure; all arms share one row without it.
    """

    name: str
    arms: tuple
    sizes: tuple
    replicates: int
    slopes: tuple
    span: tuple
    quick: tuple = field(default=((500, 1000, 2000), 6))
    across: object = None
    across_span: tuple = ()
    facet: object = None

    @property
    def text(self):
        """What the theorem says, with its status, and what the experiment can tell: its part of theory.md."""
        parts = Path(__file__).with_name("theory.md").read_text().split("\n## ")
        return dict(part.split("\n\n", 1) for part in parts[1:])[self.name].strip()

    @property
    def n_fits(self):
        """Fits of a whole run."""
        return sum(arm.times for arm in self.arms) * len(self.sizes) * self.replicates

    @property
    def extras(self):
        """Columns beyond the common ones."""
        return tuple(dict.fromkeys(name for arm in self.arms for name in arm.extras))
