"""A bottleneck block of ResNet-50: three convolutions with batch normalisation."""

import numpy as np

SIZES = {
    "check": {"n": 4, "w": 5, "h": 5, "c1": 4, "c2": 3},
    "S": {"n": 8, "w": 14, "h": 14, "c1": 32, "c2": 8},
    "M": {"n": 8, "w": 28, "h": 28, "c1": 64, "c2": 16},
}
OUTPUTS = ("y",)
#: the tangent of a deviation that is zero, that of the padding, is not a number
FORWARD = False


def inputs(rng, n, w, h, c1, c2):
    return {
        "x": rng.standard_normal((n, h, w, c1)),
        "conv1": rng.standard_normal((1, 1, c1, c2)),
        "conv2": rng.standard_normal((3, 3, c2, c2)),
        "conv3": rng.standard_normal((1, 1, c2, c1)),
    }


def relu(x):
    return np.maximum(x, 0)


def conv2d(images, weights):
    k = weights.shape[0]
    n, height, width = images.shape[0], images.shape[1] - k + 1, images.shape[2] - k + 1
    out = np.empty((n, height, width, weights.shape[3]))
    for i in range(height):
        for j in range(width):
            window = images[:, i : i + k, j : j + k, :, np.newaxis]
            out[:, i, j, :] = np.sum(window * weights[np.newaxis, :, :, :], axis=(1, 2, 3))
    return out


def normalised(x):
    """Each pixel and channel over the batch."""
    mean = np.mean(x, axis=0, keepdims=True)
    return (x - mean) / np.sqrt(np.std(x, axis=0, keepdims=True) + 1e-5)


def resnet(x, conv1, conv2, conv3):
    padded = np.zeros((x.shape[0], x.shape[1] + 2, x.shape[2] + 2, conv1.shape[3]))
    padded[:, 1:-1, 1:-1, :] = conv2d(x, conv1)
    y = relu(normalised(padded))
    y = relu(normalised(conv2d(y, conv2)))
    y = normalised(conv2d(y, conv3))
    return relu(y + x)


def jax_idiomatic(x, conv1, conv2, conv3):
    import jax
    import jax.numpy as jnp
    from jax import lax

    def conv(x, weights):
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, weights, (1, 1), "VALID", dimension_numbers=layout)

    def normal(x):
        mean, deviation = x.mean(axis=0, keepdims=True), x.std(axis=0, keepdims=True)
        return (x - mean) / jnp.sqrt(deviation + 1e-5)

    y = jnp.pad(conv(x, conv1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = jax.nn.relu(normal(y))
    y = jax.nn.relu(normal(conv(y, conv2)))
    return jax.nn.relu(normal(conv(y, conv3)) + x)
