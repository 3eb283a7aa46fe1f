def find(x, tol):
    n = x.shape[0]
    s = 0.0
    count = 0
    for i in range(n):
        count += 1
        t = x[i]
        if t > tol:
            break
        s = s + t
    return s, count
