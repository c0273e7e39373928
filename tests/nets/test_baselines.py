"""The networks that the papers compare with: published figures, training, and the frame graph in two runtimes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from torch.nn import functional as F

from edgeseg.nets import NETS, build
from edgeseg.nets.baselines.pspnet import pool
from edgeseg.nets.baselines.segnet import unpool
from edgeseg.nets.count import cost
from edgeseg.nets.frame import FrameNet
from edgeseg.train import recipe as recipes
from edgeseg.train.run import make_net

# Name, parameters in millions and GMAC at 384×288: NPNet's Table 1 as printed.
TABLE = [
    ("fcn8s", "14.72", "33.89"),
    ("segnet", "29.44", "67.67"),
    ("pspnet", "17.5", "133.23"),
    ("unet", "34.53", "110.46"),
    ("attention-unet", "34.87", "112.27"),
    ("unetplusplus", "36.63", "233.88"),
]
# Comparators of DNL-Net's paper: parameters in millions as published, where they are, and the classes they are for.
PUBLISHED = [
    ("enet", "0.36", 1),  # ENet's paper rounds up to 0.37, for 19 classes; 0.36 is what later tables print
    ("dense-unet", "3.5", 11),  # Jégou et al., Table 2: FC-DenseNet67 on CamVid
    ("denseaspp", "8.28", 19),  # as later papers print it, on Cityscapes
    ("cenet", "29.00", 1),  # as later papers print it
    ("r2unet", "39.09", 1),  # as later papers print it, for widths 64 to 1024
    ("refinenet", "118", 1),  # Nekrasov et al., BMVC 2018, Table 1; the original gives none
]
COMPARATORS = [*(name for name, _, _ in PUBLISHED), "fcn16s", "bisenet", "deeplabv3plus"]
NAMES = [*(name for name, _, _ in TABLE), *COMPARATORS]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Maps are tiny: on a busy machine, threads that wait for each other made these tests fifty times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def printed(value: float, like: str) -> str:
    return f"{value:.{len(like.partition('.')[2])}f}"


@pytest.mark.parametrize(("name", "parameters", "gmac"), TABLE)
def test_figures_of_the_paper(name: str, parameters: str, gmac: str) -> None:
    with torch.device("meta"):
        counted = cost(build(name), 288, 384)
    assert printed(counted.parameters / 1e6, parameters) == parameters
    assert printed(counted.gmac_with_bn, gmac) == gmac


@pytest.mark.parametrize(("name", "parameters", "classes"), PUBLISHED)
def test_published_parameters(name: str, parameters: str, classes: int) -> None:
    with torch.device("meta"):
        net = build(name, classes)
    assert printed(sum(one.numel() for one in net.parameters()) / 1e6, parameters) == parameters


def test_fcn16s_is_fcn8s_less_one_head() -> None:
    with torch.device("meta"):
        less = sum(p.numel() for p in build("fcn8s").parameters()) - sum(
            p.numel() for p in build("fcn16s").parameters()
        )
    assert less == 256 + 1


def test_multiply_adds_of_comparators() -> None:
    """RefineNet: 263 G in Nekrasov et al. at 512×512. DeepLabV3+: 101.28 G in its paper, other stem, 33×33 features."""
    with torch.device("meta"):
        refine, deeplab = (cost(build(name), 512, 512).gmac for name in ("refinenet", "deeplabv3plus"))
    assert abs(refine - 263) < 1
    stem = (9 * 3 * 64 + 9 * 64 * 64 + 9 * 64 * 128 - 49 * 3 * 64) * 256**2 / 1e9  # three 3×3 for one 7×7
    assert abs((deeplab + stem) * (33 / 32) ** 2 - 101.28) < 1


@pytest.mark.parametrize("name", NAMES)
def test_meta_device_counts_what_a_real_pass_counts(name: str) -> None:
    with torch.device("meta"):
        shapes = build(name, options={"width": 8})
    assert cost(build(name, options={"width": 8}), 64, 96) == cost(shapes, 64, 96)


@pytest.mark.parametrize("name", NAMES)
def test_learns(name: str) -> None:
    """Every parameter gets a gradient, and a few steps lower the loss."""
    torch.manual_seed(0)
    net = build(name, 2, {"width": 8})
    x, truth = torch.randn(2, 3, 64, 96), torch.zeros(2, 2, 64, 96)
    truth[:, 0, 16:40, 24:60] = 1
    truth[:, 1, 40:60, 60:90] = 1
    x += 3 * truth[:, :1]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        logits = net(x)
        assert logits.shape == truth.shape
        loss = F.binary_cross_entropy_with_logits(logits, truth)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert not [key for key, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


@pytest.mark.parametrize("name", NAMES)
def test_frame_graph_in_two_runtimes(name: str, exported: Callable[[FrameNet, str], bytes]) -> None:
    """Exported as bundles are, uint8 in and out; within a grey level of PyTorch."""
    torch.manual_seed(0)
    inner = build(name, options={"width": 8})
    for module in inner.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    inner.train()(torch.randn(2, 3, 64, 96))  # statistics as of noise, so that the output is not flat
    net = FrameNet(inner.eval(), [0.5] * 3, [0.25] * 3)
    graph = exported(net, name)
    assert {one.version for one in onnx.load_from_string(graph).opset_import if one.domain == ""} == {17}
    frame = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = net(torch.from_numpy(frame)).numpy()
    assert expected.std() > 1
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    for said in (session.run(None, {"frame": frame})[0], compiled({"frame": frame})[0]):
        assert np.abs(said.astype(int) - expected.astype(int)).max() <= 1


def test_pooling_is_torchs_own() -> None:
    x = torch.randn(2, 5, 18, 23)
    for bins in (1, 2, 3, 6):
        torch.testing.assert_close(pool(x, bins), F.adaptive_avg_pool2d(x, bins))


def test_unpooling_is_that_by_index_where_maxima_are_single() -> None:
    x = torch.randn(2, 5, 8, 12)
    small, index = F.max_pool2d(x, 2, return_indices=True)
    place = x == F.interpolate(small, scale_factor=2.0)
    value = torch.randn_like(small)
    assert torch.equal(unpool(value, place), F.max_unpool2d(value, index, 2))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_line_is_enough(name: str, tmp_path: Path) -> None:
    """The guide's recipe of three lines, with another network."""
    guide = (Path(__file__).parents[2] / "docs/networks.md").read_text()
    text = guide.partition("```toml\n")[2].partition("```")[0]
    assert text.count('"unet"') == 1
    file = tmp_path / "mine.toml"
    file.write_text(text.replace('"unet"', f'"{name}"') + "network.options = { width = 4 }\n")
    net = make_net(recipes.load(str(file))[0])
    assert type(net.net) is NETS[name]


def test_a_network_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's example: a module with these two arguments, and a line in NETS."""
    guide = (Path(__file__).parents[2] / "docs/networks.md").read_text()
    code = guide.partition("```python\n")[2].partition("```")[0]
    names: dict[str, object] = {}
    exec(code, names)
    monkeypatch.setitem(NETS, "mynet", names["MyNet"])  # type: ignore[arg-type]
    net = build("mynet", 2, {"width": 4})
    assert net(torch.zeros(1, 3, 64, 96)).shape == (1, 2, 64, 96)
    assert copy.deepcopy(net).stride == 2
