"""The paper's equations in plain numpy, written from the paper alone, for tests to compare with."""

import numpy as np


def sigmoid(x):
    """Logistic function."""
    return 1 / (1 + np.exp(-x))


def eca(u, kernel):
    """Eq. 1 for one image: u (C, H, W), kernel (k,); zeros beyond the first and last channel."""
    gap = u.mean((1, 2))
    half = len(kernel) // 2
    padded = np.pad(gap, half)
    weight = np.array([padded[c : c + len(kernel)] @ kernel for c in range(len(gap))])
    return u * sigmoid(weight)[:, None, None]


def mrfc_level(u, weight, lam, temperature):
    """Eq. 2 for one image and level: u (C, H, W), weight (K, C)."""
    mu = np.einsum('kc,chw->khw', weight, u).reshape(len(weight), -1)
    e = np.exp(temperature * (mu - mu.max(1, keepdims=True)))
    return mu.mean(1) + lam * (e / e.sum(1, keepdims=True) * mu).sum(1)


def biased_focal(p, y, alpha, beta, s):
    """Eqs. 3 and 4 for probabilities p and labels y."""
    ps = np.maximum(p - s, 0)
    return -alpha * (1 - p) ** beta * y * np.log(p) - (1 - alpha) * ps**beta * (1 - y) * np.log(
        1 - p
    )
