"""The same as ``mlrfnet evaluate``, from a checkout: ``python tools/evaluate.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('evaluate')
