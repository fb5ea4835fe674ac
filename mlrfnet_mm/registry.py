"""The registries of the ``mlrfnet_mm`` scope.

Each one's parent is mmengine's root registry, not mmpretrain's: so ``type='mlrfnet_mm.ECANeck'``
resolves from the mmpretrain scope and from a bare mmengine scope alike, and no name of ours can
collide with one of mmpretrain's. Parts of mmpretrain are borrowed by their owner's prefix
(``type='mmpretrain.Res2Net'``). ``locations`` makes the first look-up import the folder.
"""

from mlrfnet_mm import require_stack

require_stack()

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import Registry


def _registry(name: str, parent: Registry, location: str) -> Registry:
    return Registry(name, parent=parent, scope='mlrfnet_mm', locations=[f'mlrfnet_mm.{location}'])


DATASETS = _registry('dataset', MMENGINE_DATASETS, 'datasets')
DATA_SAMPLERS = _registry('data sampler', MMENGINE_DATA_SAMPLERS, 'datasets')
TRANSFORMS = _registry('transform', MMENGINE_TRANSFORMS, 'datasets.transforms')
MODELS = _registry('model', MMENGINE_MODELS, 'models')
WEIGHT_INITIALIZERS = _registry('weight initializer', MMENGINE_WEIGHT_INITIALIZERS, 'models')
METRICS = _registry('metric', MMENGINE_METRICS, 'evaluation.metrics')
HOOKS = _registry('hook', MMENGINE_HOOKS, 'engine')
LOOPS = _registry('loop', MMENGINE_LOOPS, 'engine')
OPTIM_WRAPPERS = _registry('optimizer wrapper', MMENGINE_OPTIM_WRAPPERS, 'engine')
RUNNERS = _registry('runner', MMENGINE_RUNNERS, 'engine')
