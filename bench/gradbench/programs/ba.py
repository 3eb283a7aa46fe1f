"""Bundle adjustment: errors of points projected by cameras with radial distortion."""

import numpy as np


def rotated(r, x, y, z):
    """A point turned about the axis `r[:3]` by its length (Rodrigues)."""
    square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2]
    if square == 0.0:
        cross = (r[1] * z - r[2] * y, r[2] * x - r[0] * z, r[0] * y - r[1] * x)
        return x + cross[0], y + cross[1], z + cross[2]
    angle = np.sqrt(square)
    c, s = np.cos(angle), np.sin(angle)
    a, b, d = r[0] / angle, r[1] / angle, r[2] / angle
    along = (a * x + b * y + d * z) * (1.0 - c)
    return (
        x * c + (b * z - d * y) * s + a * along,
        y * c + (d * x - a * z) * s + b * along,
        z * c + (a * y - b * x) * s + d * along,
    )


def projection_error(camera, point, weight, feature):
    """`camera`: rotation (3), centre (3), focal length, principal point (2), distortion (2)."""
    x, y, z = rotated(camera, point[0] - camera[3], point[1] - camera[4], point[2] - camera[5])
    u, v = x / z, y / z
    square = u * u + v * v
    scale = camera[6] * (1.0 + camera[9] * square + camera[10] * square * square)
    return (
        weight * (u * scale + camera[7] - feature[0]),
        weight * (v * scale + camera[8] - feature[1]),
    )


def errors(cameras, points, weights, features, observed):
    """All projection errors, and those of the weights."""
    p = observed.shape[0]
    projection, weight = np.empty((p, 2)), np.empty(p)
    for i in range(p):
        camera, point = cameras[observed[i, 0]], points[observed[i, 1]]
        a, b = projection_error(camera, point, weights[i], features[i])
        projection[i, 0] = a
        projection[i, 1] = b
        weight[i] = 1.0 - weights[i] * weights[i]
    return projection, weight


def seeded(cameras, points, weights, features, first, second):
    """One row of each observation's block: every observation has a camera and a point of its own
    here, so the gradient of the sum holds the rows of all blocks."""
    total = 0.0
    for i in range(weights.shape[0]):
        a, b = projection_error(cameras[i], points[i], weights[i], features[i])
        total += first * a + second * b
    return total


def weight_errors(weights):
    return np.sum(1.0 - weights * weights)
