"""Share of random_state values whose default fit reaches the best mode known. Run `python benchmarks/modes.py`.

Writes modes.csv: case, K, the best log-likelihood known, fits within 2e-3 of it, fits above it, certificates, seconds.
"""

import csv
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

from moegate import MoERegressor

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from test_reference import BEST, problem  # noqa: E402

SEEDS = 20


def row(case, K, best):
    X, y, options = problem(case)
    began = time.process_time()
    fits = [MoERegressor(K, random_state=seed, **options).fit(X, y) for seed in range(SEEDS)]
    seconds = (time.process_time() - began) / SEEDS
    gaps = [moe.loglik_ - best for moe in fits]
    kinds = Counter(moe.certificate_["kind"] for moe in fits)
    reached, above = sum(abs(gap) <= 2e-3 for gap in gaps), sum(gap > 2e-3 for gap in gaps)
    return case, K, best, reached, above, SEEDS, " ".join(f"{k}:{n}" for k, n in kinds.items()), round(seconds, 2)


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    header = ("case", "K", "best_known", "reached", "above", "seeds", "certificates", "cpu_seconds_per_fit")
    with (HERE / "modes.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        print(*header)
        for (case, K), best in BEST.items():
            line = row(case, K, best)
            out.writerow(line)
            print(*line, flush=True)


if __name__ == "__main__":
    main()
