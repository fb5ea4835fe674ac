"""MLRFNet on ChestX-ray14, the paper's recipe on the official split.

mlrfnet train configs/mlrfnet_xray14.py

Data: data/ChestX-ray14 or the folder in XRAY14_ROOT. Weights: timm's res2net50_26w_4s.in1k.
Cost: 20 epochs of 2,364 iterations (75,619 images at batch 32); time on a GPU: not run.
Expected: not run. (Paper: mean AUC 0.853 under the `chexnet` protocol; the two protocols cannot be
compared. For it: --cfg-options {train,val,test}_dataloader.dataset.protocol=chexnet.)
"""

_base_ = [
    '_base_/models/mlrfnet_res2net50.py',
    '_base_/datasets/chestxray14.py',
    '_base_/schedules/adam_20e.py',
    '_base_/default_runtime.py',
]
