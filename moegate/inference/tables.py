"""Tables of an `Inference` for print, HTML and LaTeX, as statsmodels lays them out."""

import numpy as np
from scipy.stats import chi2

from ..estimators.options import experts_name

HEADER = ["estimate", "std err", "z", "P>|z|"]
AFTER_SELECTION = (
    "These columns were chosen on the same rows: standard errors after selection are too small, and their tests and "
    "intervals are not valid."
)
REACHED = 0.01  # log-likelihood within which a run counts as having reached the best
TOP = {"data_aligns": "lrlr", "table_dec_above": "=", "table_dec_below": "=", "colsep": "  "}


def summary(result, alpha):
    """A statsmodels Summary: the fit, the gate, the experts, the gate by column."""
    from statsmodels.iolib.summary import Summary

    out = Summary()
    out.tables.append(_top(result))
    for kind, title in (("gate", _gate_title(result)), ("expert", "Experts")):
        rows = [i for i, name in enumerate(result.names) if name.startswith(kind)]
        out.tables += [_coefficients(result, alpha, rows, title)] if rows else []
    tests = gate_tests(result)
    out.tables += [_tests(tests)] if len(tests) else []
    out.add_extra_txt(_notes(result))
    return out


def _top(result):
    """Facts of the fit in two columns."""
    from statsmodels.iolib.table import SimpleTable

    estimator, certificate = result.estimator, result.estimator.certificate_
    left = [
        ("Model:", type(estimator).__name__),
        ("Experts:", f"{estimator.model_.n_experts} {experts_name(estimator.experts)}"),
        ("Gate:", estimator.gate if isinstance(estimator.gate, str) else type(estimator.gate).__name__),
        ("Covariance:", result.kind),
        ("Certificate:", certificate["kind"]),
        ("Observations:", f"{result.nobs:.6g}"),
    ]
    right = [
        ("Log-likelihood:", f"{result.llf:.3f}"),
        ("Parameters:", str(result.df_model)),
        ("AIC:", f"{result.aic:.2f}"),
        ("BIC:", f"{result.bic:.2f}"),
        ("ICL:", f"{result.icl:.2f}"),
        ("Smallest eigenvalue:", f"{certificate['min_eigenvalue']:.2g}"),
    ]
    rows = [[*a, *b] for a, b in zip(left, right, strict=True)]
    return SimpleTable(rows, title="Mixture of experts", txt_fmt=TOP, ltx_fmt=_latex("lrlr"))


def _coefficients(result, alpha, rows, title):
    from statsmodels.iolib.table import SimpleTable

    limits, errors = result.conf_int(alpha).to_numpy(), result.bse.to_numpy()
    z, p = result.zvalues.to_numpy(), result.pvalues.to_numpy()
    cells = [
        [f"{result.values[i]:.4g}", f"{errors[i]:.3g}", f"{z[i]:.2f}", f"{p[i]:.3f}", *(f"{v:.4g}" for v in limits[i])]
        if result.identified[i]
        else [f"{result.values[i]:.4g}", "held" if result.held[i] else "not identified", "", "", "", ""]
        for i in rows
    ]
    header = [*HEADER, f"[{alpha / 2:g}", f"{1 - alpha / 2:g}]"]
    width = max(map(len, result.names))
    names = [result.names[i].ljust(width) for i in rows]
    return SimpleTable(cells, headers=header, stubs=names, title=title, txt_fmt=_text())


def _gate_title(result):
    if any(name.startswith("gate.") for name in result.names):
        return "Gates, each against its last child"
    return f"Gate, against expert {result.reference}"


def gate_tests(result):
    """Joint Wald tests of the gate's contrasts by column."""
    from pandas import DataFrame

    columns = [] if "gate_coef" not in result.estimator.model_.gate.contrasts()[()] else _gate_columns(result)
    rows = {name: _joint(result, at) for name, at in columns}
    return DataFrame.from_dict(rows, orient="index", columns=["statistic", "df", "pvalue"])


def _gate_columns(result):
    """Column names and the positions of their contrasts."""
    ends = [name.partition("].")[2] if name.startswith("gate[") else None for name in result.names]
    names = [end for end in dict.fromkeys(ends) if end not in (None, "intercept")]
    return [(name, [i for i, end in enumerate(ends) if end == name]) for name in names]


def _joint(result, at):
    if not result.identified[at].all():
        return np.nan, len(at), np.nan
    values, cov = result.values[at], result.cov[np.ix_(at, at)]
    statistic = float(values @ np.linalg.lstsq(cov, values)[0])
    return statistic, len(at), float(chi2.sf(statistic, len(at)))


def _tests(tests):
    from statsmodels.iolib.table import SimpleTable

    cells = [[f"{row.statistic:.2f}", f"{row.df:.0f}", f"{row.pvalue:.3f}"] for row in tests.itertuples()]
    header = ["chi2", "df", "P>chi2"]
    title = "Gate by column: all contrasts zero"
    return SimpleTable(cells, headers=header, stubs=list(tests.index), title=title, txt_fmt=_text())


def _notes(result):
    """Lines below the tables, a warning first."""
    lines, K = [], result.estimator.model_.n_experts
    if result.fewer.preferred:
        lines.append(
            f"WARNING: BIC prefers {K - 1} to {K} experts ({result.fewer.fewer_bic:.2f} against {result.bic:.2f}).\n"
            "Some may not be distinct, and standard errors then mean nothing although they look like any others."
        )
    if hasattr(result.estimator, "free_"):
        lines.append(f"WARNING: {AFTER_SELECTION}")
    lines += _runs(result.estimator.init_results_)
    if result.held.any():
        lines.append("held: zero under the penalty, and kept so.")
    if not (result.identified | result.held).all():
        lines.append("not identified: the likelihood does not change, or grows without end, along the parameter.")
    return lines


def _runs(table):
    """How many of several finished runs reached the best one; on a subsample those on it."""
    runs = table[table["stage"] == "long"]
    sound = runs["loglik"][~runs["degenerate"].astype(bool)]
    if len(runs) < 2 or not len(sound):
        return []
    reached = int((sound >= sound.max() - REACHED).sum())
    return [f"{reached} of {len(runs)} finished runs came within {REACHED:g} of the best log-likelihood."]


def _text():
    from statsmodels.iolib.tableformatting import fmt_params

    return fmt_params


def _latex(aligns):
    from statsmodels.iolib.tableformatting import fmt_latex

    return fmt_latex | {"data_aligns": aligns}
