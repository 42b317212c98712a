"""Ratios in one run: subject and reference alternate, the median of the ratios counts; the table goes to results.md."""

import os
import platform
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

RESULTS = Path(__file__).with_name("results.md")
TABLE = []


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    with threadpool_limits(1):
        yield


def seconds(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@pytest.fixture
def ratio(benchmark):
    """Measure subject / reference and put it in the table beside its limit."""

    def measure(name, subject, reference, limit, rounds=5):
        subject(), reference()
        pairs = np.array([(seconds(subject), seconds(reference)) for _ in range(rounds)])
        found = float(np.median(pairs[:, 0] / pairs[:, 1]))
        TABLE.append((name, *np.median(pairs, axis=0), found, limit))
        benchmark.extra_info.update(ratio=found, limit=limit)
        benchmark.pedantic(subject, rounds=1)
        return found

    return measure


@pytest.fixture
def figure(benchmark):
    """Put a figure that is no ratio in the table."""

    def record(name, value, limit):
        TABLE.append((name, None, None, value, limit))
        benchmark.extra_info.update(value=value, limit=limit)
        benchmark.pedantic(lambda: None, rounds=1)

    return record


def pytest_sessionfinish():
    if TABLE:
        text = table()
        print(f"\n\n{text}")
        RESULTS.write_text(text)


def table():
    lines = [f"| {name} | {show(a)} | {show(b)} | {value:.3g} | {limit} |" for name, a, b, value, limit in TABLE]
    return "\n".join(
        [
            "# Benchmark results",
            "",
            f"Made by `make bench` on {machine()}. One BLAS thread; medians of alternating runs.",
            "",
            "| what | seconds | reference, seconds | ratio or figure | limit |",
            "|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def show(value):
    return "" if value is None else f"{value:.4f}"


def machine():
    """Processor, vector instructions and versions."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (line.split(":")[1].strip() for line in info.splitlines() if "model name" in line), platform.processor()
    )
    vectors = "AVX-512" if "avx512f" in info else "AVX2, no AVX-512" if "avx2" in info else "unknown vectors"
    return f"{model} ({vectors}, {os.cpu_count()} cores), Python {platform.python_version()}, numpy {np.__version__}"
