"""A Ray cluster: the one at an address, or a local one (pip install 'mlrfnet-mm[ray]')."""

import os
from typing import Any


def connect(address: str | None = None) -> Any:
    """Join a cluster and return the module ``ray``.

    Args:
        address: as ``ray.init`` takes it; None or ``''`` for that of the variable ``RAY_ADDRESS``,
            for one that runs on this machine, or else for a local one that is begun here.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: there is no cluster at the address.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # nothing is reported to anyone
    try:
        import ray
    except ImportError as error:
        raise ImportError(f"--ray needs pip install 'mlrfnet-mm[ray]': {error}") from error
    ray.init(
        address or None, ignore_reinit_error=True, logging_level='warning', log_to_driver=False
    )
    return ray


def gpus(ray: Any) -> int:
    """Number of GPUs of the cluster."""
    return int(ray.cluster_resources().get('GPU', 0))
