"""The same as ``mlrfnet localise``, from a checkout: ``python tools/localise.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('localise')
