"""What Prometheus is told: counts and seconds, nothing of any image."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from mlrfnet_mm.serving.worker import Worker

SECONDS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)


class Metrics:
    """Of one server, in a registry of its own.

    Args:
        worker: whose places are shown.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, worker: Worker) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            'mlrfnet_requests', 'requests by route and status', ['route', 'status'],
            registry=self.registry,
        )  # fmt: skip
        self.files = Counter('mlrfnet_files', 'files that were sent', registry=self.registry)
        self.seconds = Histogram(
            'mlrfnet_request_seconds', 'from the first byte of a request to its answer', ['route'],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        places = Gauge('mlrfnet_places', 'requests at a time', registry=self.registry)
        places.set(worker.places)
        taken = Gauge('mlrfnet_places_taken', 'of them in use', registry=self.registry)
        taken.set_function(lambda: worker.taken)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)
