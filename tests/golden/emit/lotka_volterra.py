def lv(x, y, h, n):
    for i in range(n):
        dx = x - x * y
        dy = x * y - y
        x = x + h * dx
        y = y + h * dy
    return np.maximum(x, y)
