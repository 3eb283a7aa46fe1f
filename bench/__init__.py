"""Side-by-side measurements: `python -m bench`. One thread, pinned before NumPy is imported."""

import os

for _variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
