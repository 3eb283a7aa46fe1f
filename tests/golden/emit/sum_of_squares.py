def f(x):
    """The sum of the squares of x."""
    n = x.shape[0]
    s = 0.0
    for i in range(n):
        t = x[i]
        s = s + t * t
    return s
