"""Whether less or more of a value is better."""


def check_rule(key: str, rule: str | None) -> None:
    """Refuse to keep the worst: a loss is better when less, an AUC when greater.

    Raises:
        ValueError: no explicit rule (mmengine guesses from words in the key), or the wrong one.
    """
    expected = 'less' if 'loss' in key else 'greater' if key.startswith('auc/') else rule
    if rule not in ('less', 'greater') or rule != expected:
        raise ValueError(f'{key!r} needs rule={expected or "less or greater"!r}, got rule={rule!r}')
