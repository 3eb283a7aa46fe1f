"""A recurrent network (LSTM with diagonal weights) that predicts the next character."""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(main, extra, state, sequence):
    """`main` has a row of weights and one of biases for each layer, for the gates forget, in, out,
    change; `extra` the weights in, the weights and biases out; `state` hidden and cell values."""
    steps, b = sequence.shape
    layers = state.shape[0] // 2
    now = state.copy()
    total = 0.0
    for t in range(steps - 1):
        x = sequence[t] * extra[0]
        for i in range(layers):
            weight, bias = main[2 * i], main[2 * i + 1]
            hidden = now[2 * i]
            forget = sigmoid(x * weight[:b] + bias[:b])
            into = sigmoid(hidden * weight[b : 2 * b] + bias[b : 2 * b])
            out = sigmoid(x * weight[2 * b : 3 * b] + bias[2 * b : 3 * b])
            change = np.tanh(hidden * weight[3 * b :] + bias[3 * b :])
            now[2 * i + 1] = now[2 * i + 1] * forget + into * change
            now[2 * i] = out * np.tanh(now[2 * i + 1])
            x = now[2 * i]
        y = x * extra[1] + extra[2]
        total += np.sum(sequence[t + 1] * (y - np.log(np.sum(np.exp(y)) + 2.0)))
    return -total / ((steps - 1) * b)
