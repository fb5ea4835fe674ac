"""MLRFNet on CheXpert, the paper's recipe and its policy U-O&U-Z; validation held out of train.csv.

mlrfnet train configs/mlrfnet_chexpert.py

Data: data/CheXpert or the folder in CHEXPERT_ROOT. Weights: timm's res2net50_26w_4s.in1k.
Cost: 20 epochs of 6,767 iterations (216,541 images at batch 32); time on a GPU: not run.
Expected: not run. (Paper: mean AUC 0.904 of the five scored classes on the 200 studies of
valid.csv, which also chose its epoch. For that habit: --cfg-options
{train,val,test}_dataloader.dataset.protocol=select-on-valid; the result is stamped with it.)
For another policy: --cfg-options {train,val,test}_dataloader.dataset.policy=U-Ones.
For the five scored classes only: --cfg-options model.head.num_classes=5
{train,val,test}_dataloader.dataset.classes=scored.
"""

_base_ = [
    '_base_/models/mlrfnet_res2net50.py',
    '_base_/datasets/chexpert.py',
    '_base_/schedules/adam_20e.py',
    '_base_/default_runtime.py',
]
