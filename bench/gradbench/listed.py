"""What GradBench's own tools took, in milliseconds: (primal, gradient).

Measured once, in November 2026, with GradBench's programs on two cores of a Sapphire Rapids: the
least of several runs, one thread. Tapenade and Enzyme are the C and C++ tools. They cannot run
along, so that only ratios to their own primals compare well.
"""

LISTED: dict[tuple[str, str], dict[str, tuple[float | None, float]]] = {
    ("gmm", "d=10 k=25 n=1000 m=0"): {
        "by hand": (1.70, 3.22), "Tapenade": (1.56, 4.02), "Enzyme": (1.37, 11.0),
    },
    ("ba", "n=49 m=7776 p=31843"): {
        "by hand": (0.745, 5.04), "Tapenade": (0.745, 10.6), "Enzyme": (1.14, 6.72),
    },
    ("ht", "vertices=544 points=100 triangles=0"): {
        "by hand": (0.089, 0.356), "Tapenade": (0.095, 5.5), "Enzyme": (0.111, 4.65),
    },
    ("lstm", "l=2 c=1024 b=14"): {
        "by hand": (1.30, 8.94), "Tapenade": (1.35, 4.23), "Enzyme": (1.06, 2.74),
    },
    ("kmeans", "k=10 n=1000 d=8"): {"by hand": (0.022, 0.026), "Enzyme": (0.033, 0.072)},
    ("llsq", "n=4096 m=128"): {"by hand": (0.43, 0.92), "Enzyme": (0.42, 0.53)},
    ("lse", "n=80000"): {"by hand": (0.40, 0.36), "Enzyme": (0.38, 0.63)},
    ("ode", "n=1000 s=10"): {"Enzyme": (0.015, 0.045)},
    ("det", "ell=7"): {"by hand": (0.032, 0.220), "Enzyme": (0.033, 0.55)},
    ("particle", "w=0 rr"): {"Enzyme": (None, 6.25)},
    ("particle", "w=0 rf"): {"Enzyme": (None, 1.42)},
    ("particle", "w=0 fr"): {"Enzyme": (None, 2.13)},
    ("particle", "w=0 ff"): {"Enzyme": (None, 0.64)},
    ("saddle", "(1, 1) rr"): {"Enzyme": (None, 2.39)},
    ("saddle", "(1, 1) rf"): {"Enzyme": (None, 2.68)},
    ("saddle", "(1, 1) fr"): {"Enzyme": (None, 1.22)},
    ("saddle", "(1, 1) ff"): {"Enzyme": (None, 1.60)},
}  # fmt: skip
