"""Hand tracking: distances of measured points from a skinned, posed hand."""

import numpy as np

from s2s_ad import jvp


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


def product(A, B):
    """Of small matrices, where a call of BLAS costs more than the sums."""
    out = np.zeros((A.shape[0], B.shape[1]))
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            for k in range(B.shape[0]):
                out[i, j] += A[i, k] * B[k, j]
    return out


def bones(theta, parents, relatives, inverses):
    """Where each bone moves the skin: matrices (bones, 4, 4). The fingers' angles only."""
    count = parents.shape[0]
    angles = bone_angles(theta, count)
    absolute = np.zeros((count, 4, 4))
    moves = np.zeros((count, 4, 4))
    for i in range(count):
        turn = np.eye(4)
        turn[:3, :3] = euler(angles[i])
        posed = product(relatives[i], turn)
        if parents[i] == -1:
            absolute[i] = posed
        else:
            absolute[i] = product(absolute[parents[i]], posed)
        moves[i] = product(absolute[i], inverses[i])
    return moves


def skin(moves, base, weights, mirrored):
    """Base positions, moved by every bone that has weight there."""
    blended = weights @ moves[:, :3].copy().reshape((weights.shape[1], 12))
    side = -1.0 if mirrored else 1.0
    positions = np.empty((base.shape[0], 3))
    for v in range(base.shape[0]):
        for r in range(3):
            total = 0.0
            for k in range(4):
                total += blended[v, 4 * r + k] * base[v, k]
            positions[v, r] = side * total if r == 0 else total
    return positions


def vertices(theta, parents, relatives, inverses, base, weights, mirrored):
    """The positions of the skin, in the posed hand, turned and moved as a whole."""
    local = skin(bones(theta, parents, relatives, inverses), base, weights, mirrored)
    return local @ axis_angle(theta[:3]).T + theta[3:6]


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


FINGERS, ANGLES = 5, 4


def owners(parents):
    """The finger whose angles move each bone, or -1: that of the bone, or of one before it."""
    found = np.full(len(parents), -1)
    for i, parent in enumerate(parents):
        finger, joint = divmod(i - 2, 4)
        if 0 <= finger < FINGERS and joint < 3:
            found[i] = finger
        elif parent >= 0:
            found[i] = found[parent]
    return found


def jacobian(theta, parents, relatives, inverses, base, weights, mirrored, owner):
    """The positions of the skin, and their derivatives by theta, (vertices, 3, 26), block by block.

    A bone depends on the four angles of one finger only, so that four directions, each in all
    fingers, hold all that there is to know; the turn of the whole hand has three more."""
    along_bones = jvp(bones, wrt=0)
    count, size = owner.shape[0], base.shape[0]
    slopes = np.empty((ANGLES, count, 4, 4))
    moves = np.empty((count, 4, 4))
    for k in range(ANGLES):
        direction = np.zeros(26)
        for f in range(FINGERS):
            direction[6 + ANGLES * f + k] = 1.0
        moves, slopes[k] = along_bones((theta, parents, relatives, inverses), direction)
    turns = np.empty((3, 3, 3))
    turn = np.empty((3, 3))
    for k in range(3):
        direction = np.zeros(3)
        direction[k] = 1.0
        turn, turns[k] = jvp(axis_angle)((theta[:3],), (direction,))
    local = skin(moves, base, weights, mirrored)
    side = -1.0 if mirrored else 1.0
    found = np.zeros((size, 3, 26))
    for v in range(size):
        own = np.zeros((3, FINGERS * ANGLES))
        for i in range(count):
            weight, f = weights[v, i], owner[i]
            if f >= 0 and weight != 0.0:
                for k in range(ANGLES):
                    for r in range(3):
                        total = 0.0
                        for j in range(4):
                            total += slopes[k, i, r, j] * base[v, j]
                        own[r, ANGLES * f + k] += weight * total
        for r in range(3):
            for k in range(3):
                found[v, r, k] = (
                    turns[k, r, 0] * local[v, 0]
                    + turns[k, r, 1] * local[v, 1]
                    + turns[k, r, 2] * local[v, 2]
                )
            found[v, r, 3 + r] = 1.0
            for k in range(FINGERS * ANGLES):
                found[v, r, 6 + k] = (
                    side * turn[r, 0] * own[0, k] + turn[r, 1] * own[1, k] + turn[r, 2] * own[2, k]
                )
    return local @ turn.T + theta[3:6], found


def simple_rows(skin, slopes, nearest):
    """The rows of `simple`'s Jacobian, (points, 3, 26)."""
    return -slopes[nearest]


def complicated_rows(skin, slopes, corner, us):
    """The rows of `complicated`'s Jacobian, (points, 3, 28): a point's own `us` come first."""
    found = np.empty((corner.shape[0], 3, 28))
    for i in range(corner.shape[0]):
        a, b, c = corner[i, 0], corner[i, 1], corner[i, 2]
        u, v = us[i, 0], us[i, 1]
        for r in range(3):
            found[i, r, 0] = skin[c, r] - skin[a, r]
            found[i, r, 1] = skin[c, r] - skin[b, r]
            for k in range(26):
                found[i, r, 2 + k] = -(
                    u * slopes[a, r, k] + v * slopes[b, r, k] + (1.0 - u - v) * slopes[c, r, k]
                )
    return found
