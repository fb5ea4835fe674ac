"""Functions on numpy arrays; mmengine's metrics over them are in ``metrics/``, imported apart.

What is here under a short name is listed in ``__init__.pyi`` and imported when it is first asked
for: who only predicts need not wait for scikit-learn.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
