"""The translation of smallest Voronoi loss: on a line the loss is convex between points that are known.

Cells change where two true atoms are equally near, and norms stop counting at the cap; between such points of a line
the loss is a sum of convex functions, or the sum of the largest few of them, and sections find its minimum. One gate
slope is one line. Of more, Newton's method comes first, then lines in turn.
"""

import numpy as np

EDGE = 1e-9  # relative distance from a border at which a cell is beyond doubt
CLOSE = 1e-10  # relative fall of the loss below which a search has ended
SECTIONS = np.linspace(0, 1, 10)
NARROWINGS = 60  # of the sections; each leaves at most 2/9
STEPS, HALVINGS = 12, 8  # of Newton's method, of its step
LINES, IDLE = 60, 5  # rounds of lines at most, and without a gain before the search ends
FAR = 1e6  # times the differences of slopes: borders beyond are left alone


def search(problem):
    """The translation of smallest loss, (g,).

    Parameters
    ----------
    problem : Problem
    """
    starts = problem.starts
    if starts.shape[1] > 1:
        starts = np.vstack([starts, descended(problem, starts)])
    best = _least(starts, problem.value(starts))
    if starts.shape[1] == 1:
        return along(problem, best, np.ones((1, 1)))[0]
    return _by_lines(problem, best, starts)[0]


def _least(t, values):
    at = np.argmin(values)
    return t[at], values[at]


def _by_lines(problem, best, starts):
    """The best of lines through the best point so far: to all other starts, then in directions of chance."""
    rng, idle = np.random.default_rng(0), 0
    directions = np.vstack([np.eye(starts.shape[1]), starts - best[0]])
    for _ in range(LINES):
        before = best
        size = np.linalg.norm(directions, axis=1, keepdims=True)
        best = along(problem, best, (directions / np.where(size > 0, size, 1.0))[size[:, 0] > 0])
        moved = descended(problem, best[0][None])
        best = _least(np.vstack([best[0], moved]), np.append(best[1], problem.value(moved)))
        idle = 0 if best[1] < before[1] * (1 - CLOSE) else idle + 1
        if idle == IDLE:
            break
        directions = np.vstack([_directions(problem, rng), best[0] - before[0]])
    return best


def _directions(problem, rng):
    """A random basis, and random directions along the borders of cells."""
    g = problem.difference.shape[2]
    basis = np.linalg.qr(rng.standard_normal((g, g)))[0]
    j, k = np.triu_indices(problem.difference.shape[1], 1)
    across = problem.difference[0, j] - problem.difference[0, k]
    free, norm = rng.standard_normal(across.shape), np.sum(across**2, axis=1, keepdims=True)
    share = np.sum(free * across, axis=1, keepdims=True) / np.where(norm > 0, norm, 1.0)
    return np.vstack([basis, free - share * across])


def along(problem, best, directions):
    """The best point of the lines through a point, and its loss.

    Parameters
    ----------
    problem : Problem
    best : tuple of ndarray of shape (g,) and float
        The point and its loss.
    directions : ndarray of shape (L, g)
        Of length one.
    """
    origin = best[0]
    line, low, high = pieces(problem, origin, directions)
    for _ in range(NARROWINGS):
        s = low[:, None] + (high - low)[:, None] * SECTIONS
        t = origin + s[..., None] * directions[line, None]
        values = problem.value(t.reshape(-1, len(origin))).reshape(s.shape)
        at = np.unravel_index(np.argmin(values), values.shape)
        if values[at] < best[1]:
            best = t[at], values[at]
        low, high, bound = _narrowed(s, values)
        left = np.maximum(bound, 0) < best[1] * (1 - CLOSE)
        if not left.any():
            break
        line, low, high = line[left], low[left], high[left]
    return best


def _narrowed(s, values):
    """Ends of the sections next to the least value, and what a convex function cannot fall below between them."""
    rows, last = np.arange(len(s)), s.shape[1] - 1
    k = np.argmin(values, axis=1)
    below, above = np.maximum(k - 1, 0), np.minimum(k + 1, last)
    f, inner = values[rows, k], np.clip(k, 1, last - 1)
    steepest = np.maximum(values[rows, below], values[rows, above])
    ends = 2 * values[rows, inner] - np.maximum(values[rows, inner - 1], values[rows, inner + 1])
    return s[rows, below], s[rows, above], np.where(k == inner, 2 * f - steepest, np.minimum(ends, f))


def pieces(problem, origin, directions):
    """Pieces of lines on which the loss is convex: the line of each, and its ends in units of the direction.

    Beyond the last point where a kink or a border can be the loss cannot fall.
    """
    away = problem.difference - origin
    s = np.einsum("lg,kjg->lkj", directions, away)
    across = np.maximum(np.sum(away**2, axis=-1) - s**2, 0.0)
    cuts = np.concatenate([part.reshape(len(s), -1) for part in _cuts(problem, s, across)], axis=1)
    cuts = np.sort(np.where(np.abs(cuts) < FAR * (1 + np.abs(s).max()), cuts, s.reshape(len(s), -1)[:, :1]), axis=1)
    cuts = np.concatenate([cuts[:, :1] - 1, cuts, cuts[:, -1:] + 1], axis=1)
    edge = EDGE * (1 + np.abs(cuts))
    low, high = cuts[:, :-1] + edge[:, :-1], cuts[:, 1:] - edge[:, 1:]
    line, at = np.nonzero(low < high)
    return line, low[line, at], high[line, at]


def _cuts(problem, s, across):
    """Points of lines where kinks can be, where cells change, and where norms reach the cap; some not finite."""
    yield s
    near = s**2 + across + sum(problem.squares.values())
    j, k = np.triu_indices(s.shape[2], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        yield (near[..., j] - near[..., k]) / (2 * (s[..., j] - s[..., k]))
        for groups in problem.moving:
            fixed = across + sum(problem.squares[name] for name in groups if name != "gate")
            reach = np.sqrt(problem.cap**2 - fixed)
            yield s - reach
            yield s + reach


def descended(problem, t):
    """Translations (S, g) after Newton's method with the cells of each fixed, halved until the loss falls."""
    cells = problem.cells(t)
    value = problem.value(t, cells)
    for _ in range(STEPS):
        step, moved = _newton(problem, t, cells), False
        for _ in range(HALVINGS):
            found = problem.value(t + step, cells)
            better = found < value - CLOSE * np.abs(value)
            t, value = np.where(better[:, None], t + step, t), np.where(better, found, value)
            moved |= better.any()
            step = np.where(better[:, None], 0.0, step / 2)
        if not moved:
            break
    return t


def _newton(problem, t, cells):
    """Newton's step of each translation; norms beyond the cap do not pull, nor do cells that do not count."""
    first, second, away = problem.pulls(t, cells)
    gradient = np.einsum("sk,skg->sg", first, away)
    eye = np.eye(t.shape[1])
    hessian = np.sum(first, axis=1)[:, None, None] * eye + np.einsum("sk,skg,skh->sgh", second, away, away)
    size = 1e-12 * np.abs(hessian).max(axis=(1, 2), initial=0.0) + 1e-300
    return -np.linalg.solve(hessian + size[:, None, None] * eye, gradient[..., None])[..., 0]
