def jacobi(u, v, k):
    n = u.shape[0]
    t = n - 1
    u = u.copy()
    v = v.copy()
    for it in range(k):
        for i in range(1, t):
            v[i] = 0.5 * (u[i - 1] + u[i + 1])
        u, v = v, u
    return u
