"""The same as ``mlrfnet audit``, from a checkout: ``python tools/audit.py …``."""

from mlrfnet_mm.commands import call

if __name__ == '__main__':
    call('audit')
