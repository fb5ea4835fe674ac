"""The same as ``mlrfnet complexity``, from a checkout: ``python tools/complexity.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('complexity')
