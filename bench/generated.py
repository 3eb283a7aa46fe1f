"""Programs of any length and depth, as text: what growth is measured on."""

from __future__ import annotations


def straight(lines: int) -> str:
    """A function `program(x, a)` of so many assignments of scalars, each using the last two."""
    forms = (
        "v{k} = np.sin(v{i}) * a + v{j}",
        "v{k} = v{i} * v{j} - 0.5 * x",
        "v{k} = np.exp(-v{i} * v{i}) + a * v{j}",
        "v{k} = (v{i} + v{j}) / (1.0 + v{i} * v{i})",
        "v{k} = np.sqrt(1.0 + v{i} * v{i}) - v{j}",
    )
    text = ["import numpy as np", "", "", "def program(x, a):", "    v0 = x", "    v1 = a * x"]
    for k in range(2, lines):
        form = forms[k % len(forms)]
        text.append("    " + form.format(k=k, i=k - 1, j=k - 2))
    return "\n".join([*text, f"    return v{max(lines, 2) - 1}", ""])


def mixed(lines: int) -> str:
    """A function `program(x, a)` of so many lines that loops over an array: blocks of a loop, a
    branch and writes, as longer numerical code has them. Its numbers stay moderate."""
    block = (
        "    for i in range(1, n):",
        "        t = np.sin(y[i - 1]) * a + x[i]",
        "        if t > 0.5:",
        "            y[i] = t * t - 0.3 * y[i]",
        "        else:",
        "            y[i] += np.exp(-t * t)",
        "    s += np.sum(y * x) / n",
        "    a = a * 0.9 + 0.05 * np.sin(s)",
    )
    text = ["import numpy as np", "", "", "def program(x, a):", "    n = x.shape[0]"]
    text += ["    y = np.zeros(n)", "    s = 0.0"]
    while len(text) < lines + 3:
        text += block
    return "\n".join([*text, "    return s", ""])


def nest(depth: int) -> str:
    """A function `program(x, trips)`: loops in loops, `trips` iterations each."""
    text = ["import numpy as np", "", "", "def program(x, trips):", "    s = x"]
    for k in range(depth):
        text.append("    " * (k + 1) + f"for i{k} in range(trips):")
    inner = " + ".join(f"i{k}" for k in range(depth))
    text.append("    " * (depth + 1) + f"s = np.sin(s) + 1e-3 * x * ({inner})")
    return "\n".join([*text, "    return s", ""])
