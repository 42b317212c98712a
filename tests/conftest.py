import os

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
collect_ignore = ["reference"]  # scripts kept with their results, not tests


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Also where the environment does not limit threads; the imports load the libraries to limit."""
    import scipy.linalg  # noqa: F401
    import sklearn  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
