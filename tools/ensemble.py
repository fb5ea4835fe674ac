"""The same as ``mlrfnet ensemble``, from a checkout: ``python tools/ensemble.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('ensemble')
