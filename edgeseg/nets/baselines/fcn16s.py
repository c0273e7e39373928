"""FCN-16s (Long, Shelhamer and Darrell, CVPR 2015): FCN-8s without the scores of pool3."""

from __future__ import annotations

from edgeseg.nets.baselines.fcn8s import FCN8s


class FCN16s(FCN8s):
    """Scores from pool4 and pool5, the sum enlarged by 16; encoder, readings and shapes are FCN-8s's."""

    depths = 2
