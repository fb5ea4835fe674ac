"""The same as ``mlrfnet label-graph``, from a checkout: ``python tools/label_graph.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('label-graph')
