"""particle and saddle: derivatives inside what is differentiated.

The inner derivative is generated source, which is differentiated again like any other function:
`field` and `uphill` below are put together from it, in both modes.
"""

import numpy as np


def potential(x, y, w):
    """Of a charge at (10, 10 - w) and one at (10, 0)."""
    first = np.sqrt((x - 10.0) ** 2 + (y - 10.0 + w) ** 2)
    second = np.sqrt((x - 10.0) ** 2 + y**2)
    return 1.0 / first + 1.0 / second


def landing(field):
    """The square of where the particle crosses the axis, as a function of w. `field` gives the
    gradient of the potential."""

    def fall(w):
        x, y, u, v, dt = 0.0, 8.0, 0.75, 0.0, 0.1
        while True:
            along, across = field(x, y, w)
            x += dt * u
            y += dt * v
            if y <= 0.0:
                at = x - y / v * u
                return at * at
            u -= dt * along
            v -= dt * across

    return fall


def saddle(a, b, c, d):
    return (a * a + b * b) - (c * c + d * d)


def highest(uphill):
    """max over (c, d) by gradient ascent from (c, d), as a function of (a, b). `uphill` gives the
    gradient with respect to (c, d)."""

    def climb(a, b, c, d):
        value = saddle(a, b, c, d)
        gc, gd = uphill(a, b, c, d)
        step, count = 1e-5, 0
        while np.sqrt(gc * gc + gd * gd) > 1e-5:
            if count == 10:
                step *= 2.0
                count = 0
            else:
                new_c, new_d = c + step * gc, d + step * gd
                if np.sqrt((new_c - c) ** 2 + (new_d - d) ** 2) <= 1e-5:
                    break
                new = saddle(a, b, new_c, new_d)
                if new > value:
                    c, d, value = new_c, new_d, new
                    gc, gd = uphill(a, b, c, d)
                    count += 1
                else:
                    step /= 2.0
                    count = 0
        return saddle(a, b, c, d), c, d

    return climb


def descend(value_and_gradient):
    """Gradient descent in as many variables as `start` has, with the step size of GradBench's
    evals. The arguments are tuples. Hardly a step is taken back, so the gradient is computed with
    the value of each."""

    def run(start):
        x, step, count = start, 1e-5, 0
        value, gradient = value_and_gradient(x)
        while length(gradient) > 1e-5:
            if count == 10:
                step *= 2.0
                count = 0
            else:
                new = tuple([a - step * g for a, g in zip(x, gradient)])
                if length(tuple([a - b for a, b in zip(x, new)])) <= 1e-5:
                    break
                new_value, new_gradient = value_and_gradient(new)
                if new_value < value:
                    x, value, gradient = new, new_value, new_gradient
                    count += 1
                else:
                    step *= 0.5
                    count = 0
        return x

    return run


def length(v):
    return np.sqrt(sum([a * a for a in v]))
