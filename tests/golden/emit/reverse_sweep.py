def f_grad(x, h):
    n = x.shape[0]
    y_tape = np.empty(n)
    y = 1.0
    for i in range(n):
        y_tape[i] = y
        dy = np.sin(h * x[i])
        y = y * dy

    # reverse sweep
    x_bar = np.zeros(n)
    m = n - 1
    # for i in range(n):
    y_bar = 1.0
    h_bar = 0.0
    for i in range(m, -1, -1):
        y_1 = y_tape[i]
        t = x[i]
        t_1 = h * t
        dy = np.sin(t_1)
        # y = y * dy
        dy_bar = y_bar * y_1
        y_bar *= dy
        # dy = np.sin(h * x[i])
        t_bar = dy_bar * np.cos(t_1)
        x_bar[i] += t_bar * h
        h_bar += t_bar * t
    return y, x_bar, h_bar
