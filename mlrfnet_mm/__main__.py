"""``python -m mlrfnet_mm``: the same as the command ``mlrfnet``."""

from mlrfnet_mm.commands import main

if __name__ == '__main__':
    main()
