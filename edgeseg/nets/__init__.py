"""The networks by name. Adding one is a file beside these and a line in ``NETS``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.errors import UsageError
from edgeseg.nets.baselines.attention_unet import AttentionUNet
from edgeseg.nets.baselines.bisenet import BiSeNet
from edgeseg.nets.baselines.cenet import CENet
from edgeseg.nets.baselines.deeplabv3plus import DeepLabV3Plus
from edgeseg.nets.baselines.dense_unet import DenseUNet
from edgeseg.nets.baselines.denseaspp import DenseASPP
from edgeseg.nets.baselines.enet import ENet
from edgeseg.nets.baselines.fcn8s import FCN8s
from edgeseg.nets.baselines.fcn16s import FCN16s
from edgeseg.nets.baselines.pspnet import PSPNet
from edgeseg.nets.baselines.r2unet import R2UNet
from edgeseg.nets.baselines.refinenet import RefineNet
from edgeseg.nets.baselines.segnet import SegNet
from edgeseg.nets.baselines.unet import UNet
from edgeseg.nets.baselines.unetplusplus import UNetPlusPlus
from edgeseg.nets.dnlnet import DNLNet
from edgeseg.nets.effunet import EffUNet
from edgeseg.nets.npnet import NPNet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

NETS: dict[str, Callable[..., nn.Module]] = {
    "npnet": NPNet,
    "dnlnet": DNLNet,
    "effunet": EffUNet,
    "fcn8s": FCN8s,
    "segnet": SegNet,
    "pspnet": PSPNet,
    "unet": UNet,
    "attention-unet": AttentionUNet,
    "unetplusplus": UNetPlusPlus,
    "enet": ENet,
    "fcn16s": FCN16s,
    "dense-unet": DenseUNet,
    "denseaspp": DenseASPP,
    "bisenet": BiSeNet,
    "cenet": CENet,
    "r2unet": R2UNet,
    "deeplabv3plus": DeepLabV3Plus,
    "refinenet": RefineNet,
}


def check_size(net: nn.Module, name: str, height: int, width: int, given: str = "") -> None:
    """Whether a network takes frames of ``height`` × ``width``; ``given``: what to call them, other than --imgsz.

    Raises:
        UsageError: a side is no multiple of what it shrinks by, or under its least; with the size to take instead.
    """
    step, least = int(getattr(net, "stride", 1)), int(getattr(net, "least", 1))
    if height % step or width % step or min(height, width) < least:
        better = "x".join(str(max(least, -(-side // step) * step)) for side in (height, width))
        needs = f"multiples of {step}" if step > 1 else f"at least {least} pixels a side"
        raise UsageError(f"{given or f'--imgsz {height}x{width}'}: {name} needs {needs}; take {better}")


def build(name: str, out_channels: int = 1, options: Mapping[str, object] | None = None) -> nn.Module:
    """Builds a network by its name, with fresh weights.

    Args:
        name: a key of ``NETS``.
        out_channels: classes without the background.
        options: the network's own keywords, as a recipe's ``[network.options]`` gives them.

    Raises:
        UsageError: no such network, or an option it does not know.
    """
    if name not in NETS:
        raise UsageError(f"no network named {name!r}; there are {', '.join(sorted(NETS))}")
    try:
        return NETS[name](out_channels=out_channels, **(options or {}))
    except (TypeError, ValueError) as error:
        raise UsageError(f"network {name}: {error}; see `edgeseg nets {name}`") from error
