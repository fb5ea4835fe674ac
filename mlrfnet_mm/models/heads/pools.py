r"""From the score map of a finding to its logit: (N, K, P) → (N, K), P the places of a map.

Mean (global average pooling and a linear classifier, as the two are linear) and maximum; LSE, Wang
et al., CVPR 2017, https://arxiv.org/abs/1705.02315; PCAM, Ye et al., 2020,
https://arxiv.org/abs/2005.14480; mean of the probabilities and MIL, as PCAN's code has them, Zhu et
al., Comput. Med. Imaging Graph. 102:102137, 2022; residual attention, MLRFNet, eq. 2, after CSRA,
Zhu and Wu, ICCV 2021, https://arxiv.org/abs/2108.02456.

PCAM pools the features with a class's weights :math:`a_{kj}` and classifies the result by the same
1x1 convolution; that is linear, so that the logit is :math:`\sum_j a_{kj} s_{kj}` of its scores.

A pool stands in a config by its name, or as a dict of its name and its parameters:
``'mean'``, ``'max'``, ``'pcam'``, ``'mean_probability'``, ``'mil'``, ``dict(name='lse', r=10.0)``,
``dict(name='softmax', temperature=1.0)``, ``dict(name='residual', lam=0.3, temperature=99.0)``.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

PoolConfig = str | Mapping[str, Any]
MIL_SHARE = 0.02  # of a place's probability that counts, in PCAN's code


def mean_pool(scores: Tensor) -> Tensor:
    """Mean over the places."""
    return scores.mean(-1)


def max_pool(scores: Tensor) -> Tensor:
    """Greatest score."""
    return scores.amax(-1)


def lse_pool(scores: Tensor, r: float) -> Tensor:
    r"""Log-sum-exp, :math:`\frac{1}{r} \log \frac{1}{P} \sum_j e^{r s_j}`: from mean to maximum.

    Args:
        scores: (…, P), single precision or better.
        r: sharpness; towards 0 the mean, towards infinity the maximum.
    """
    top = scores.detach().amax(-1, keepdim=True)  # out of the logarithm: exact at any height
    return top.squeeze(-1) + torch.exp(r * (scores - top)).mean(-1).log() / r


def softmax_pool(scores: Tensor, temperature: float) -> Tensor:
    r"""Mean with weights :math:`\mathrm{softmax}_j(T s)`.

    Args:
        scores: (…, P), single precision or better.
        temperature: sharpness T; towards 0 the mean, towards infinity the maximum.
    """
    return (torch.softmax(temperature * scores, -1) * scores).sum(-1)


def pcam_pool(scores: Tensor) -> Tensor:
    r"""PCAM, the mean with weights :math:`\sigma(s_j) / \sum_i \sigma(s_i)`.

    The weights are :math:`\mathrm{softmax}_j(\log \sigma(s))`, finite where all probabilities are
    too small for a float.
    """
    return (torch.softmax(F.logsigmoid(scores), -1) * scores).sum(-1)


def mean_probability_pool(scores: Tensor) -> Tensor:
    r"""Logit of the mean probability, :math:`\mathrm{logit} \frac{1}{P} \sum_j \sigma(s_j)`.

    From both tails, so that it is finite where a probability rounds to 0 or to 1.
    """
    return F.logsigmoid(scores).logsumexp(-1) - F.logsigmoid(-scores).logsumexp(-1)


def mil_pool(scores: Tensor) -> Tensor:
    r"""Logit of multiple-instance learning's :math:`1 - \prod_j (1 - 0.02\, \sigma(s_j))`.

    With :math:`x = -\sum_j \log(1 - 0.02\, \sigma(s_j))` it is :math:`\log(e^x - 1)`. The logarithm
    of x is summed in logarithms, and what is left is a factor near 1, so that no probability is too
    small.
    """
    p = torch.sigmoid(scores).clamp(min=1e-6)  # below, the factor is 1 to single precision
    bent = torch.log(-torch.log1p(-MIL_SHARE * p) / (MIL_SHARE * p))
    log_x = torch.logsumexp(F.logsigmoid(scores) + bent, -1) + math.log(MIL_SHARE)
    x = log_x.exp().clamp(min=1e-12)
    return log_x + x + torch.log(-torch.expm1(-x) / x)


def residual_attention(scores: Tensor, lam: float, temperature: float | None) -> Tensor:
    r"""Pool the score maps of one level into logits, eq. 2.

    .. math:: P = \frac{1}{HW} \sum_j \mu_j + \lambda \sum_j \mathrm{softmax}(T \mu_j) \mu_j

    Args:
        scores: the class scores :math:`\mu` at every place, (N, K, H*W).
        lam: weight of the residual term.
        temperature: sharpness T of the spatial softmax; ``None`` is its limit, the exact maximum.

    Returns:
        Logits (N, K).
    """
    residual = scores.amax(-1) if temperature is None else softmax_pool(scores, temperature)
    return scores.mean(-1) + lam * residual


POOLS: dict[str, Callable[..., Tensor]] = {
    'mean': mean_pool,
    'max': max_pool,
    'lse': lse_pool,
    'softmax': softmax_pool,
    'pcam': pcam_pool,
    'mean_probability': mean_probability_pool,
    'mil': mil_pool,
    'residual': residual_attention,
}


def make_pool(pool: PoolConfig) -> partial[Tensor]:
    """Bind the parameters of a config's pool.

    Raises:
        ValueError: an unknown name, parameters that are not the pool's, or one out of its range.
    """
    parameters: dict[str, Any] = dict(name=pool) if isinstance(pool, str) else dict(pool)
    name = parameters.pop('name', None)
    if name not in POOLS:
        raise ValueError(
            f"pool must be one of {', '.join(POOLS)}, or dict(name='lse', r=10.0) where it has "
            f'parameters, got {pool!r}'
        )
    wanted = list(inspect.signature(POOLS[name]).parameters)[1:]
    if set(parameters) != set(wanted):
        raise ValueError(
            f'pool {name!r} takes {", ".join(wanted) or "no parameters"}, got {pool!r}'
        )
    for key in ('r', 'temperature'):
        value = parameters.get(key, 1.0)
        if name == 'residual' and value is None:
            continue
        if value is None or not value > 0:
            limit = ' or None (maximum)' if name == 'residual' else ''
            raise ValueError(f'{key} must be positive{limit}, got {value}')
    return partial(POOLS[name], **parameters)


def make_pools(pool: PoolConfig | Sequence[PoolConfig], levels: int) -> tuple[partial[Tensor], ...]:
    """One pool for each level: of one config for all, or of one config each.

    Raises:
        ValueError: another number of configs than of levels; see :func:`make_pool`.
    """
    several = [pool] * levels if isinstance(pool, str | Mapping) else list(pool)
    if not levels or len(several) != levels:
        raise ValueError(
            f'a head needs one pool for all levels or one for each, got {len(several)} for '
            f'{levels} levels: {pool!r}'
        )
    return tuple(make_pool(each) for each in several)
