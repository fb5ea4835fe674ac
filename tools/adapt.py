"""The same as ``mlrfnet adapt``, from a checkout: ``python tools/adapt.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('adapt')
