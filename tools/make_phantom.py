"""The same as ``mlrfnet phantom``, from a checkout: ``python tools/make_phantom.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('phantom')
