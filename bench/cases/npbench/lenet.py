"""LeNet-5: two convolutions with maximum pooling, three dense layers."""

import numpy as np

SIZES = {
    "check": {"n": 2, "h": 16, "w": 16},
    "S": {"n": 4, "h": 28, "w": 28},
    "M": {"n": 8, "h": 56, "w": 56},
}
OUTPUTS = ("y",)


def inputs(rng, n, h, w):
    """Weights centred, so that the units are not all on."""
    features = 16 * (((h - 4) // 2 - 4) // 2) * (((w - 4) // 2 - 4) // 2)
    shapes = {
        "conv1": (5, 5, 1, 6),
        "bias1": (6,),
        "conv2": (5, 5, 6, 16),
        "bias2": (16,),
        "fc1w": (features, 120),
        "fc1b": (120,),
        "fc2w": (120, 84),
        "fc2b": (84,),
        "fc3w": (84, 10),
        "fc3b": (10,),
    }
    weights = {
        name: rng.standard_normal(s) / np.sqrt(np.prod(s[:-1])) for name, s in shapes.items()
    }
    return {"x": rng.random((n, h, w, 1)), **weights, "n": n, "features": features}


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


def maxpool(x):
    out = np.empty([x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]], dtype=x.dtype)
    for i in range(x.shape[1] // 2):
        for j in range(x.shape[2] // 2):
            window = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, :]
            out[:, i, j, :] = np.max(window, axis=(1, 2))
    return out


def lenet(x, conv1, bias1, conv2, bias2, fc1w, fc1b, fc2w, fc2b, fc3w, fc3b, n, features):
    x = maxpool(relu(conv2d(x, conv1) + bias1))
    x = maxpool(relu(conv2d(x, conv2) + bias2))
    x = np.reshape(x, (n, features))
    x = relu(x @ fc1w + fc1b)
    x = relu(x @ fc2w + fc2b)
    return x @ fc3w + fc3b


def jax_idiomatic(x, conv1, bias1, conv2, bias2, fc1w, fc1b, fc2w, fc2b, fc3w, fc3b, n, features):
    import jax
    from jax import lax

    def layer(x, weights, bias):
        layout = ("NHWC", "HWIO", "NHWC")
        x = lax.conv_general_dilated(x, weights, (1, 1), "VALID", dimension_numbers=layout)
        x = jax.nn.relu(x + bias)
        return lax.reduce_window(x, -float("inf"), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    x = layer(layer(x, conv1, bias1), conv2, bias2).reshape(n, features)
    x = jax.nn.relu(x @ fc1w + fc1b)
    x = jax.nn.relu(x @ fc2w + fc2b)
    return x @ fc3w + fc3b
