def gs(A, b):
    n = A.shape[0]
    m = A.shape[1]
    n1 = n - 1
    A = A.copy()
    for i in range(1, n1):
        for j in range(1, m - 1):
            A[i, j] = A[i - 1, j] + b[i, j]
    return A
