"""The config that a checkpoint carries, read as data: nothing of it is run.

mmengine stores a config as the text of a Python program and runs that to read it. A checkpoint
from a stranger must not: so only assignments of literals and of ``dict(...)`` are taken, which is
all that mmengine writes, and a ``type`` must be a network or a loss, as mmengine would else import
and call whatever it spells (``type='os.system'``).
"""

import ast
import math
import re
from typing import Any

import mmengine.registry
import mmpretrain.registry
from mmengine.config import Config

import mlrfnet_mm.registry

# Where a part may come from: networks and losses of which nothing loads or runs what a config says.
MODULES = (
    'mlrfnet_mm.models.',
    'mmpretrain.models.backbones.',
    'mmpretrain.models.classifiers.image',
    'mmpretrain.models.heads.',
    'mmpretrain.models.losses.',
    'mmpretrain.models.necks.',
    'mmpretrain.models.utils.batch_augments',
    'mmpretrain.models.utils.data_preprocessor',
    'mmpretrain.models.utils.norm',
    'mmcv.cnn.',
    'mmengine.model.',
    'torch.nn.',
)
SCOPES = {'mmpretrain': mmpretrain.registry, 'mlrfnet_mm': mlrfnet_mm.registry}
SCOPES |= {'mmengine': mmengine.registry, 'mmcv': mmengine.registry}
# An initializer is named in a config, and never built here: the weights are the checkpoint's.
UNUSED = ('init_cfg', 'train_cfg', 'pretrained')
NUMBERS = dict(inf=math.inf, nan=math.nan)


def parse_config(text: str) -> Config:
    """Read the text of a config that mmengine wrote.

    Raises:
        ValueError: anything but assignments of plain values to names.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ValueError(f'the config in the checkpoint cannot be parsed: {error}') from error
    values = {}
    for statement in statements:
        if not (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            raise _refusal(statement)
        values[statement.targets[0].id] = _value(statement.value)
    return Config(values)


def _value(node: ast.expr) -> Any:
    """The value of a literal, a container of them, or ``dict(key=…)``."""
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords):
            if all(keyword.arg for keyword in keywords):
                return {str(keyword.arg): _value(keyword.value) for keyword in keywords}
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as mapping], keywords=[]):
            return _value(mapping)  # where a key is not a name, as '.pos_embed'
        case ast.Dict(keys=keys, values=values):
            if None not in keys:
                pairs = zip(keys, values, strict=True)
                return {_value(key): _value(value) for key, value in pairs if key is not None}
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Name(id=name) if name in NUMBERS:
            return NUMBERS[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id='inf')):
            return -math.inf
        case ast.Constant() | ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return ast.literal_eval(node)
    raise _refusal(node)


def _refusal(node: ast.AST) -> ValueError:
    return ValueError(
        f'the config in the checkpoint holds more than plain values, {ast.unparse(node)[:80]!r}, '
        'and was not read; give the config file (--config)'
    )


def check_types(part: Any) -> None:
    """Refuse a model's config in which some ``type`` is not a part of ``MODULES``.

    Args:
        part: of a config: dicts, lists, tuples and plain values.

    Raises:
        ValueError: such a type; timm's model from elsewhere than timm.
    """
    if isinstance(part, dict):
        kind = part.get('type')
        if 'type' in part and not _known(kind):
            raise ValueError(
                f'the config in the checkpoint has type={kind!r}, which is not a network or loss '
                'of mlrfnet_mm or mmpretrain, and was not built; give the config file (--config)'
            )
        if str(kind).endswith(('TIMMBackbone', 'TimmFeatures')) and (
            not re.fullmatch(r'[\w.]+', str(part.get('model_name'))) or 'checkpoint_path' in part
        ):
            raise ValueError(
                f'the config in the checkpoint has a {kind} from elsewhere, {part}, and was not '
                'built; give the config file (--config)'
            )
        part = [value for key, value in part.items() if key not in UNUSED]
    elif not isinstance(part, list | tuple | set):
        return
    for value in part:
        check_types(value)


def _known(name: Any) -> bool:
    if not isinstance(name, str):
        return False
    *scope, key = name.split('.')
    if len(scope) > 1 or (scope and scope[0] not in SCOPES):
        return False
    for package in [SCOPES[scope[0]]] if scope else SCOPES.values():
        package.MODELS.import_from_location()
        found = package.MODELS.module_dict.get(key)
        if found is not None:
            return f'{found.__module__}.'.startswith(MODULES)
    return False
