def f(x, tol):
    tape = np.empty(0)
    y = x
    k = 0
    while y * y > tol and k < 100:
        if k >= tape.shape[0]:
            tape = np.concatenate((tape, np.empty(k + 1)))
        tape[k] = y
        y = y * 0.5
        k = k + 1
    if k < 0:
        raise ValueError('no steps')
    kept = tape[:k]
    s = np.sum(kept)
    return y, s
