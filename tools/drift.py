"""The same as ``mlrfnet drift``, from a checkout: ``python tools/drift.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('drift')
