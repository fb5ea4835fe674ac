_base_ = '../ablations/backbones/efficientnet_lite0.py'
