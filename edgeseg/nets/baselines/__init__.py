"""The networks that NPNet's paper compares with in its Table 1, one file each.

Parameters and multiply-adds are the paper's to its rounding (`edgeseg nets`, column "GMAC as tools count"), with one
output channel at 384×288. The paper gives only these figures: where an architecture leaves a choice, the file takes
the one that meets both and says so. Trained from scratch, as the paper's are not said to be pretrained.

``width`` is the number of channels of the first stage; 64 everywhere is what was published.
"""
