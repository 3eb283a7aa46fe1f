"""Deriche's recursive edge filter: four passes of second-order recursions over an image."""

import numpy as np

SIZES = {"check": {"w": 8, "h": 7}, "S": {"w": 400, "h": 200}, "M": {"w": 1500, "h": 1000}}
OUTPUTS = ("out",)


def inputs(rng, w, h):
    return {"alpha": 0.25, "image": rng.random((w, h))}


def deriche(alpha, image):
    decay = np.exp(-alpha)
    k = (1.0 - decay) * (1.0 - decay) / (1.0 + alpha * decay - np.exp(2.0 * alpha))
    a1 = a5 = k
    a2 = a6 = k * decay * (alpha - 1.0)
    a3 = a7 = k * decay * (alpha + 1.0)
    a4 = a8 = -k * np.exp(-2.0 * alpha)
    b1 = 2.0 ** (-alpha)
    b2 = -np.exp(-2.0 * alpha)

    right = np.empty_like(image)
    right[:, 0] = a1 * image[:, 0]
    right[:, 1] = a1 * image[:, 1] + a2 * image[:, 0] + b1 * right[:, 0]
    for j in range(2, image.shape[1]):
        right[:, j] = (
            a1 * image[:, j] + a2 * image[:, j - 1] + b1 * right[:, j - 1] + b2 * right[:, j - 2]
        )

    left = np.empty_like(image)
    left[:, -1] = 0.0
    left[:, -2] = a3 * image[:, -1]
    for j in range(image.shape[1] - 3, -1, -1):
        left[:, j] = (
            a3 * image[:, j + 1] + a4 * image[:, j + 2] + b1 * left[:, j + 1] + b2 * left[:, j + 2]
        )

    out = right + left

    down = right
    down[0, :] = a5 * out[0, :]
    down[1, :] = a5 * out[1, :] + a6 * out[0, :] + b1 * down[0, :]
    for i in range(2, image.shape[0]):
        down[i, :] = a5 * out[i, :] + a6 * out[i - 1, :] + b1 * down[i - 1, :] + b2 * down[i - 2, :]

    up = left
    up[-1, :] = 0.0
    up[-2, :] = a7 * out[-1, :]
    for i in range(image.shape[0] - 3, -1, -1):
        up[i, :] = a7 * out[i + 1, :] + a8 * out[i + 2, :] + b1 * up[i + 1, :] + b2 * up[i + 2, :]

    out[:] = down + up
    return out


def looped(alpha, image):
    w, h = image.shape
    decay = np.exp(-alpha)
    k = (1.0 - decay) * (1.0 - decay) / (1.0 + alpha * decay - np.exp(2.0 * alpha))
    a1, a2, a3 = k, k * decay * (alpha - 1.0), k * decay * (alpha + 1.0)
    a4, b1, b2 = -k * np.exp(-2.0 * alpha), 2.0 ** (-alpha), -np.exp(-2.0 * alpha)
    mid, out = np.empty((w, h)), np.empty((w, h))
    for i in range(w):
        x1 = y1 = y2 = 0.0
        for j in range(h):
            y = a1 * image[i, j] + a2 * x1 + b1 * y1 + b2 * y2
            x1, y1, y2 = image[i, j], y, y1
            mid[i, j] = y
        x1 = x2 = y1 = y2 = 0.0
        for j in range(h - 1, -1, -1):
            y = a3 * x1 + a4 * x2 + b1 * y1 + b2 * y2
            x1, x2, y1, y2 = image[i, j], x1, y, y1
            mid[i, j] += y
    for i in range(w):
        for j in range(h):
            y = a1 * mid[i, j]
            if i > 0:
                y += a2 * mid[i - 1, j] + b1 * out[i - 1, j]
            if i > 1:
                y += b2 * out[i - 2, j]
            out[i, j] = y
    y1, y2 = np.zeros(h), np.zeros(h)
    for i in range(w - 1, -1, -1):
        for j in range(h):
            y = b1 * y1[j] + b2 * y2[j]
            if i < w - 1:
                y += a3 * mid[i + 1, j]
            if i < w - 2:
                y += a4 * mid[i + 2, j]
            y2[j], y1[j] = y1[j], y
            out[i, j] += y
    return out


def jax_transliterated(alpha, image):
    import jax.numpy as jnp
    from jax import lax

    decay = jnp.exp(-alpha)
    k = (1.0 - decay) * (1.0 - decay) / (1.0 + alpha * decay - jnp.exp(2.0 * alpha))
    a1, a2, a3 = k, k * decay * (alpha - 1.0), k * decay * (alpha + 1.0)
    a4, b1, b2 = -k * jnp.exp(-2.0 * alpha), 2.0 ** (-alpha), -jnp.exp(-2.0 * alpha)

    def both(x):
        """The passes along the first axis, there and back, added."""
        n = x.shape[0]
        there = jnp.zeros_like(x).at[0].set(a1 * x[0])
        there = there.at[1].set(a1 * x[1] + a2 * x[0] + b1 * there[0])
        back = jnp.zeros_like(x).at[-2].set(a3 * x[-1])

        def forward(i, y):
            return y.at[i].set(a1 * x[i] + a2 * x[i - 1] + b1 * y[i - 1] + b2 * y[i - 2])

        def backward(c, y):
            i = n - 1 - c
            return y.at[i].set(a3 * x[i + 1] + a4 * x[i + 2] + b1 * y[i + 1] + b2 * y[i + 2])

        return lax.fori_loop(2, n, forward, there) + lax.fori_loop(2, n, backward, back)

    return both(both(image.T).T)
