def loss(X, w, y):
    z = X @ w
    p = 1.0 / (1.0 + np.exp(-z))
    t = p - y
    n = X.shape[0]
    s = np.sum(t * t) / float(n)
    r = X.T
    g = np.zeros_like(w)
    g[:] = r @ t * 2.0
    return s, g
