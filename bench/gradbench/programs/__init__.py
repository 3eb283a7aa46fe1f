"""The objective functions of GradBench's evals, as one writes them for NumPy and numba."""
