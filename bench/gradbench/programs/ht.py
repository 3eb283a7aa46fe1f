"""Hand tracking: distances of measured points from a skinned, posed hand."""

import numpy as np


def euler(angles):
    """The rotation about x, then y, then z, by angles in the order x, z, y."""
    cx, sx = np.cos(angles[0]), np.sin(angles[0])
    cy, sy = np.cos(angles[2]), np.sin(angles[2])
    cz, sz = np.cos(angles[1]), np.sin(angles[1])
    return np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ]
    )


def axis_angle(w):
    norm = np.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
    R = np.eye(3)
    if norm >= 0.0001:
        x, y, z = w[0] / norm, w[1] / norm, w[2] / norm
        s, c = np.sin(norm), np.cos(norm)
        R = np.array(
            [
                [x * x + (1 - x * x) * c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
                [x * y * (1 - c) + z * s, y * y + (1 - y * y) * c, y * z * (1 - c) - x * s],
                [x * z * (1 - c) - y * s, z * y * (1 - c) + x * s, z * z + (1 - z * z) * c],
            ]
        )
    return R


def bone_angles(theta, bones):
    """Rows of Euler angles, one per bone: four fingers and the thumb, of whose four bones three
    bend; the first of them also sideways."""
    angles = np.zeros((bones, 3))
    at = 6
    row = 2
    for _ in range(5):
        for joint in range(3):
            angles[row, 0] = theta[at]
            at += 1
            if joint == 0:
                angles[row, 1] = theta[at]
                at += 1
            row += 1
        row += 1
    return angles


def vertices(theta, parents, relatives, inverses, base, weights, mirrored):
    """The positions of the skin: base positions, moved by every bone that has weight there."""
    bones = parents.shape[0]
    angles = bone_angles(theta, bones)
    absolute = np.zeros((bones, 4, 4))
    positions = np.zeros((base.shape[0], 3))
    for i in range(bones):
        turn = np.eye(4)
        turn[:3, :3] = euler(angles[i])
        posed = relatives[i] @ turn
        if parents[i] == -1:
            absolute[i] = posed
        else:
            absolute[i] = absolute[parents[i]] @ posed
        moved = base @ (absolute[i] @ inverses[i]).T
        positions += moved[:, :3] * weights[:, i : i + 1]
    if mirrored:
        positions[:, 0] = -positions[:, 0]
    return positions @ axis_angle(theta[:3]).T + theta[3:6]


def simple(theta, parents, relatives, inverses, base, weights, mirrored, nearest, points):
    skin = vertices(theta, parents, relatives, inverses, base, weights, mirrored)
    return points - skin[nearest]


def complicated(
    theta, us, parents, relatives, inverses, base, weights, mirrored, triangles, nearest, points
):
    """Points in triangles, at the barycentric coordinates `us`."""
    skin = vertices(theta, parents, relatives, inverses, base, weights, mirrored)
    corner = triangles[nearest]
    u, v = us[:, 0:1], us[:, 1:2]
    at = u * skin[corner[:, 0]] + v * skin[corner[:, 1]] + (1.0 - u - v) * skin[corner[:, 2]]
    return points - at
