"""The same as ``mlrfnet plot``, from a checkout: ``python tools/plot.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('plot')
