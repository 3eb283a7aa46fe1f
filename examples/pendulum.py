"""How hard must a double pendulum be pushed to stand where it should after two seconds?

The motion comes from the energy alone: the forces are its gradient, taken inside the stepper. The
Newton iteration that finds the push takes the derivative of the whole motion, through the forces.
Run it with `python examples/pendulum.py`.
"""

import numpy as np

from s2s_ad import differentiate, grad, jvp

STEPS, H = 2000, 1e-3


def energy(q, p):
    """Two equal masses on rods of length one: angles and their momenta."""
    c = np.cos(q[0] - q[1])
    kinetic = (p[0] ** 2 + 2.0 * p[1] ** 2 - 2.0 * c * p[0] * p[1]) / (2.0 * (2.0 - c * c))
    return kinetic - 9.81 * (2.0 * np.cos(q[0]) + np.cos(q[1]))


def swing(push, steps):
    """The angle of the upper rod, after a push from rest; the implicit midpoint rule, by three
    fixed-point iterations each."""
    q, p = np.zeros(2), np.array([push, 0.0])
    for _ in range(steps):
        dq, dp = np.zeros(2), np.zeros(2)
        for _ in range(3):
            by_angle, by_momentum = grad(energy, wrt=(0, 1))(q + 0.5 * dq, p + 0.5 * dp)
            dq, dp = H * by_momentum, -H * by_angle
        q, p = q + dq, p + dp
    return q[0]


@differentiate
def push_for(wanted, push, steps):
    """Newton's method."""
    off = 1.0
    while abs(off) > 1e-10:
        angle, slope = jvp(swing, wrt=0)((push, steps), 1.0)
        off = (angle - wanted) / slope
        push -= off
    return push


def main():
    push = push_for(0.3, 1.0, STEPS)
    print(f"a push of {push:.6f} leads to an angle of {differentiate(swing)(push, STEPS):.6f}")
    print(f"a hundredth of a radian more takes {0.01 * push_for.grad(0.3, 1.0, STEPS):.6f} more")


if __name__ == "__main__":
    main()
