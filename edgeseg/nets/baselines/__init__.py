"""The networks that the papers compare with, one file each.

FCN-8s, SegNet, PSPNet, U-Net, Attention U-Net and U-Net++ are those of NPNet's Table 1. Their parameters and
multiply-adds are the paper's to its rounding (`edgeseg nets`, column "GMAC as tools count"), with one output channel at
384×288. The paper gives only these figures: where an architecture leaves a choice, the file takes the one that meets
both and says so. Trained from scratch, as the paper's are not said to be pretrained.

The others are comparators of DNL-Net's paper, read as their own papers have them; docs/networks.md says which published
figure each meets.

``width`` is the number of channels of the first stage; the default is what was published.
"""
