"""A convolution of images (NHWC), window by window, and a bias."""

import numpy as np

SIZES = {
    "check": {"n": 2, "c_in": 2, "c_out": 3, "k": 2, "h": 5, "w": 6},
    "S": {"n": 8, "c_in": 3, "c_out": 16, "k": 2, "h": 32, "w": 32},
    "M": {"n": 8, "c_in": 3, "c_out": 8, "k": 5, "h": 64, "w": 64},
}
OUTPUTS = ("y",)


def inputs(rng, n, c_in, c_out, k, h, w):
    return {
        "images": rng.random((n, h, w, c_in)),
        "weights": rng.random((k, k, c_in, c_out)),
        "bias": rng.random(c_out),
    }


def conv2d(images, weights):
    k = weights.shape[0]
    n, height, width = images.shape[0], images.shape[1] - k + 1, images.shape[2] - k + 1
    out = np.empty((n, height, width, weights.shape[3]))
    for i in range(height):
        for j in range(width):
            window = images[:, i : i + k, j : j + k, :, np.newaxis]
            out[:, i, j, :] = np.sum(window * weights[np.newaxis, :, :, :], axis=(1, 2, 3))
    return out


def conv2d_bias(images, weights, bias):
    return conv2d(images, weights) + bias


def looped(images, weights, bias):
    n, h, w, c_in = images.shape
    k, c_out = weights.shape[0], weights.shape[3]
    out = np.empty((n, h - k + 1, w - k + 1, c_out))
    for b in range(n):
        for i in range(h - k + 1):
            for j in range(w - k + 1):
                for o in range(c_out):
                    out[b, i, j, o] = bias[o]
                for r in range(k):
                    for s in range(k):
                        for c in range(c_in):
                            x = images[b, i + r, j + s, c]
                            for o in range(c_out):
                                out[b, i, j, o] += x * weights[r, s, c, o]
    return out


def jax_idiomatic(images, weights, bias):
    from jax import lax

    layout = ("NHWC", "HWIO", "NHWC")
    return (
        lax.conv_general_dilated(images, weights, (1, 1), "VALID", dimension_numbers=layout) + bias
    )


def jax_transliterated(images, weights, bias):
    import jax.numpy as jnp
    from jax import lax

    k, c_in, c_out = weights.shape[0], weights.shape[2], weights.shape[3]
    n, height, width = images.shape[0], images.shape[1] - k + 1, images.shape[2] - k + 1

    def point(at, out):
        i, j = at // width, at % width
        window = lax.dynamic_slice(images, (0, i, j, 0), (n, k, k, c_in))
        return out.at[:, i, j].set(jnp.sum(window[..., None] * weights, axis=(1, 2, 3)))

    return lax.fori_loop(0, height * width, point, jnp.zeros((n, height, width, c_out))) + bias
