"""Bundle adjustment: errors of points projected by cameras with radial distortion."""

import numpy as np

from s2s_ad import vjp


def rotated(r, x, y, z):
    """A point turned about the axis `r[:3]` by its length (Rodrigues)."""
    square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2]
    angle = np.sqrt(square)
    c, s = np.cos(angle), np.sin(angle)
    if square == 0.0:
        cross = (r[1] * z - r[2] * y, r[2] * x - r[0] * z, r[0] * y - r[1] * x)
        return x + cross[0], y + cross[1], z + cross[2]
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


def jacobian(cameras, points, weights, features, observed, starts, columns, values):
    """Fills the Jacobian of `errors`, as CSR: each pair of rows has the columns of one camera, one
    point and one weight. What does not depend on the cotangent is computed once for both rows."""
    n, m, p = cameras.shape[0], points.shape[0], weights.shape[0]
    for i in range(p):
        camera, point = observed[i, 0], observed[i, 1]
        given = tuple([cameras[camera, c] for c in range(11)])
        place = tuple([points[point, c] for c in range(3)])
        _, pullback = vjp(projection_error, wrt=(0, 1, 2))(given, place, weights[i], features[i])
        at = 30 * i
        for second in range(2):
            by_camera, by_point, by_weight = pullback((1.0 - second, 1.0 * second))
            first = at + 15 * second
            for c in range(11):
                values[first + c] = by_camera[c]
                columns[first + c] = 11 * camera + c
            for c in range(3):
                values[first + 11 + c] = by_point[c]
                columns[first + 11 + c] = 11 * n + 3 * point + c
            values[first + 14] = by_weight
            columns[first + 14] = 11 * n + 3 * m + i
        starts[2 * i] = at
        starts[2 * i + 1] = at + 15
        values[30 * p + i] = -2.0 * weights[i]
        columns[30 * p + i] = 11 * n + 3 * m + i
        starts[2 * p + i] = 30 * p + i
    starts[3 * p] = 31 * p
