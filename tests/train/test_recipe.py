"""Recipes: every shipped one works, and each way to write a wrong one gets its sentence."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from edgeseg.data import augmentation
from edgeseg.data.batch.augment import augment
from edgeseg.data.batch.draw import Draw
from edgeseg.errors import EdgesegError, InputError, UsageError
from edgeseg.train import losses
from edgeseg.train import recipe as recipes
from edgeseg.train.run import frame_of, make_net

SHIPPED = recipes.names()
PHANTOM = (recipes.FOLDER / "npnet-phantom.toml").read_text()


def test_these_are_shipped() -> None:
    assert {"npnet-cvc-paper", "npnet-phantom", "npnet-polyp"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipe_loads_and_builds(name: str) -> None:
    recipe, sha256 = recipes.load(name)
    assert recipe.name == name
    data, base, files = b"", name, 0
    while base:
        files += 1
        file = recipes.FOLDER / f"{base}.toml"
        data += file.read_bytes()
        base = tomllib.loads(file.read_text()).get("extends")
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert files <= 4  # decision 14: a reader need not open more
    net = make_net(recipe)
    frame = frame_of(recipe)
    with torch.no_grad():
        out = net.eval()(torch.zeros(1, frame.height, frame.width, 3, dtype=torch.uint8))
    assert out.shape == (1, len(recipe.classes) - 1, frame.height, frame.width)
    augmentation.build(recipe.augmentation, frame.height, frame.width)
    loss = losses.build(recipe.train.loss, recipe.train.positive_weight)
    assert recipe.description
    assert recipe.terms.notice
    truth = torch.zeros(2, 16, 16, dtype=torch.uint8)
    truth[:, 4:8] = 1
    assert torch.isfinite(loss(torch.zeros(2, len(recipe.classes) - 1, 16, 16), truth))


def test_the_papers_settings_are_the_papers() -> None:
    recipe, _ = recipes.load("npnet-cvc-paper")
    t = recipe.train
    assert (t.epochs, t.batch, t.optimizer, t.lr, t.loss, t.schedule) == (100, 2, "adam", 1e-4, "ce", "constant")
    assert not any(vars(recipe.augmentation).values())
    assert (recipe.input.height, recipe.input.width) == (288, 384)


def load(tmp_path: Path, text: str | bytes) -> recipes.Recipe:
    file = tmp_path / "mine.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return recipes.load(str(file))[0]


def test_own_recipe(tmp_path: Path) -> None:
    assert load(tmp_path, PHANTOM).train.epochs == recipes.load("npnet-phantom")[0].train.epochs


OWN = """name = "own"
extends = "npnet-phantom"
min_area = 0.1
train.lr = 5e-4
use.not_intended = ["sale"]
[augmentation]
rotate = 0
blur = 0.1
"""


def test_a_recipe_extends_another_key_by_key(tmp_path: Path) -> None:
    base, own = recipes.load("npnet-phantom")[0], load(tmp_path, OWN)
    assert own.model_copy(update={"name": base.name}) == base.model_copy(
        update={
            "min_area": 0.1,
            "train": base.train.model_copy(update={"lr": 5e-4}),
            "augmentation": base.augmentation.model_copy(update={"rotate": 0.0, "blur": 0.1}),
            "use": base.use.model_copy(update={"not_intended": ["sale"]}),
        }
    )


def test_it_extends_a_file_beside_it_wherever_it_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "own.toml").write_text(OWN)
    (folder / "more.toml").write_text('name = "more"\nextends = "own.toml"\ntrain.epochs = 3\n')
    monkeypatch.chdir(tmp_path)
    more, sha256 = recipes.load("recipes/more.toml")
    assert (more.name, more.train.epochs, more.train.lr, more.augmentation.blur) == ("more", 3, 5e-4, 0.1)
    (folder / "own.toml").write_text(OWN.replace("5e-4", "6e-4"))
    changed, other = recipes.load("recipes/more.toml")
    assert changed.train.lr == 6e-4
    assert other != sha256  # a manifest tells that what it extends was changed


def test_another_network_takes_no_options_along(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(OWN.replace("[augm", "[network]\noptions = { attention = 'se' }\n[augm"))
    kept = load(tmp_path, 'name = "mine"\nextends = "base.toml"\nnetwork.name = "npnet"')
    other = load(tmp_path, 'name = "mine"\nextends = "base.toml"\nnetwork.name = "unet"')
    assert kept.network == recipes.Network(name="npnet", options={"attention": "se"})
    assert other.network == recipes.Network(name="unet")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "npnet-phantom"', "name: Field required; a recipe that extends another has a name of its own"),
        ('name = "own"\nextends = 3', "extends: give the name of a shipped recipe"),
        ('name = "own"\nextends = "npnet-nope"', "extends 'npnet-nope', which is neither a shipped recipe nor"),
        ('name = "own"\nextends = "none.toml"', "extends 'none.toml', which is neither a shipped recipe nor"),
        ('name = "own"\nextends = "mine.toml"', "extends 'mine.toml', which extends this file in turn"),
        ('name = "own"\nextends = "npnet-phantom"\ntrain.epoch = 3', "train.epoch: is no known key"),
        ('name = "own"\nextends = "npnet-phantom"\ntrain = 3', "train: Input should be"),
    ],
)
def test_wrong_extension(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/mine.toml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_that_extend_each_other(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('name = "other"\nextends = "mine.toml"')
    with pytest.raises(InputError, match=r"other\.toml: extends 'mine\.toml', which extends this file in turn"):
        load(tmp_path, 'name = "mine"\nextends = "other.toml"')


@pytest.mark.parametrize("name", SHIPPED)
def test_written_whole_and_read_again(name: str, tmp_path: Path) -> None:
    recipe, _ = recipes.load(name)
    assert load(tmp_path, recipes.dump(recipe)) == recipe


CLASSES = PHANTOM[PHANTOM.index("[[classes]]") : PHANTOM.index("[input]")]
MORE = '[[classes]]\nname = "{0}"\ncolor = "#ffffff"\nthreshold = 128\n'
WRONG = [
    ("epochs = 8", "epochs = 0", "train.epochs"),
    ("epochs = 8", "epochs = 'many'", "train.epochs"),
    ("epochs = 8", "epochs = true", "train.epochs"),
    ("epochs = 8", f"epochs = 1{'0' * 31}", "train.epochs"),
    ("epochs = 8", f"epochs = {'9' * 5000}", "is not TOML"),
    ("epochs = 8", f"epochs = {'[' * 3000}{']' * 3000}", "is not TOML"),
    ("lr = 1e-3", "lr = true", "train.lr"),
    (
        "width = 192",
        'width = 192\nsteps = [{ op = "clahe", clip_limit = -1.0, tiles = 8 }]',
        "input.steps.0.clip_limit",
    ),
    ("epochs = 8", "epoch = 8", "train.epochs: Field required"),
    ("epochs = 8", "epochs = 8\nepoch = 9", "train.epoch: is no known key"),
    ("batch = 4", "batch = -1", "train.batch"),
    ("lr = 1e-3", "lr = 0.0", "train.lr"),
    ("lr = 1e-3", "lr = nan", "train.lr"),
    ("lr = 1e-3", "lr = inf", "train.lr"),
    ("weight_decay = 1e-3", "weight_decay = -1e-3", "train.weight_decay"),
    ("ema = 0.98", "ema = 1.0", "train.ema"),
    ("ema = 0.98", "betas = [0.9, 1.5]", "train.betas.1"),
    ("ema = 0.98", "positive_weight = -1.0", "train.positive_weight"),
    ("warmup_steps = 40", "warmup_steps = -4", "train.warmup_steps"),
    ('optimizer = "adamw"', 'optimizer = "sgdd"', "train.optimizer"),
    ("height = 144", "height = 0", "input.height"),
    ("height = 144", "height = 144.5", "input.height"),
    ("width = 192", "width = 192\nstd = [0.2, 0.0, 0.2]", "input.std.1"),
    ("width = 192", "width = 192\nmean = [0.2, 0.2]", "input.mean"),
    ('mode = "resize"', 'mode = "stretch"', "input.fit.mode"),
    ('mode = "resize"', 'mode = "resize", pad = 3', "input.fit.pad"),
    ('color = "#00e5a0"', 'color = "green"', "classes.1.color"),
    ("threshold = 128", "threshold = 0.5", "classes.1.threshold"),
    ("threshold = 128", "treshold = 128", "classes.1.treshold"),
    ("threshold = 128", "", "classes: every class but the background"),
    ('color = "#000000"', 'color = "#000000"\nthreshold = 1', "classes: every class but the background"),
    ('name = "polyp"', 'name = "background"', "classes: two have the same name"),
    (CLASSES, "classes = []\n", "classes|is not TOML"),
    (CLASSES, '[[classes]]\nname = "background"\ncolor = "#000000"\n', "classes: a background and at least one more"),
    ("rotate = 30", "rotat = 30", "augmentation.rotat"),
    ("gain = 0.2", "gain = -0.2", "augmentation.gain"),
    ("gain = 0.2", "gain = nan", "augmentation.gain"),
    ("gain = 0.2", "gain = 1e9", "augmentation.gain"),
    ("rotate = 30", "rotate = 181", "augmentation.rotate"),
    ("rotate = 30", "stretch = 1.0", "augmentation.stretch"),
    ("rotate = 30", "jpeg = 1.1", "augmentation.jpeg"),
    (CLASSES, CLASSES + MORE.format("b"), "classes: give the background and one more; masks tell no further classes"),
    ('intended = "', f'intended = "{"x" * 1600}', "has a string over 1024 bytes at use.intended"),
    ("not_intended = [", f'not_intended = ["{"ß" * 600}", ', r"has a string over 1024 bytes at use.not_intended\[0\]"),
    ("not_intended = [", 'not_intended = ["x", ' + '"x", ' * 1024, "has an array over 1024 items at use.not_intended"),
    ('name = "polyp"', f'name = "{"x" * 1025}"', r"has a string over 1024 bytes at classes\[1\].name"),
    ('notice = "', f'notice = "{"x" * 2000}', "has a string over 1024 bytes at terms.notice"),
    ("research_only = false", "research_only = false\nlicense = 1", "terms.license"),
    ('modality = "colonoscopy"', 'modality = "xray"', "modality"),
    ('name = "npnet-phantom"', 'name = "NPNet Phantom"', "name"),
    ("[terms]", "[[terms]]", "terms"),
    ("[train]", "[train", "is not TOML"),
    ('name = "npnet"', 'name = "npnet"\noptions = { attention = [1] }', "network.options"),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG, ids=[f"{n}-{said}" for n, (_, _, said) in enumerate(WRONG)])
def test_wrong_recipe(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in PHANTOM
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path, PHANTOM.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path}/mine.toml: ")
    assert "\n" not in str(caught.value)


def test_not_text(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b"\x00\x01\x02"):
        with pytest.raises(InputError, match=r"mine\.toml: is not TOML"):
            load(tmp_path, content)
    with pytest.raises(InputError, match="name: Field required"):
        load(tmp_path, b"")


@pytest.mark.parametrize("name", ["npnet-nope", "none.toml", "", "../recipes/npnet-phantom", "/etc"])
def test_no_such_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = name.endswith(".toml")
    said = "none.toml: no such file" if file else "no recipe .*; shipped are .*npnet-phantom.*, or give the path"
    with pytest.raises(UsageError, match=said):
        recipes.load(name)


def test_networks_options_are_checked_when_it_is_built(tmp_path: Path) -> None:
    for option in ('{ attention = "none" }', '{ attention = "nose" }', "{ depth = 3 }"):
        recipe = load(tmp_path, PHANTOM.replace('name = "npnet"', f'name = "npnet"\noptions = {option}', 1))
        if "none" in option:
            make_net(recipe)
        else:
            with pytest.raises(EdgesegError, match="network npnet"):
                make_net(recipe)


def test_the_most_that_augmentation_may_do() -> None:
    """Each key's bound, one by one and all together, on a small frame and on a batch."""
    bounds = dict.fromkeys(recipes.Augmentation.model_fields, 1.0)
    bounds |= {"flip": True, "rotate": 180, "stretch": 0.9, "zoom_in": 3, "zoom_out": 3, "gamma": 3, "shade": 3}
    for name in bounds.keys() - {"flip"}:
        with pytest.raises(ValidationError, match=name):
            recipes.Augmentation(**bounds | {name: bounds[name] + 0.01})
    frames = torch.randint(0, 255, (2, 32, 48, 3), dtype=torch.uint8)
    masks = torch.zeros(2, 32, 48, dtype=torch.uint8)
    masks[:, 8:20, 10:30] = 1
    for settings in [bounds, *({name: value} for name, value in bounds.items())]:
        most = recipes.Augmentation(**settings)
        transform = augmentation.build(most, 32, 48)
        sample = {"frame": frames[0].permute(2, 0, 1).float().numpy(), "mask": masks[:1].float().numpy()}
        for seed in range(4):
            transform.set_random_state(seed=seed)
            out = transform(dict(sample))
            assert (out["frame"].shape, out["mask"].shape) == ((3, 32, 48), (1, 32, 48))
            image, _ = augment(frames, masks, torch.arange(2), most, 0, 20, Draw(torch.device("cpu"), seed))
            assert image.shape == frames.shape


def test_sizes_are_checked_when_it_is_built(tmp_path: Path) -> None:
    """Of frames, of patches, and of both where a batch norm would have a single value to normalise."""

    def make(network: str, train: str, size: int = 64) -> None:
        text = PHANTOM.replace('name = "npnet"', f'name = "{network}"', 1).replace("[train]", f"[train]\n{train}", 1)
        text = text.replace("height = 144", f"height = {size}", 1).replace("width = 192", f"width = {size}", 1)
        make_net(load(tmp_path, text.replace("batch = 4\n", "", 1) if "batch" in train else text))

    mine = "^recipe npnet-phantom: patches of "
    with pytest.raises(UsageError, match=f"{mine}60x60: npnet needs multiples of 8; take 64x64$"):
        make("npnet", "patch = 60")
    with pytest.raises(UsageError, match=f"{mine}7x7: dnlnet needs at least 8 pixels a side; take 8x8$"):
        make("dnlnet", "patch = 7")
    single = "a single one leaves batch norms of dnlnet a single value; take --batch 2, or larger ones$"
    with pytest.raises(UsageError, match=f"^--imgsz 15x15: {single}"):
        make("dnlnet", "batch = 1", 15)
    with pytest.raises(UsageError, match=f"{mine}8x8: {single}"):
        make("dnlnet", "batch = 1\npatch = 8")
    for train in ("batch = 1\nfreeze_norms = true", "batch = 2"):
        make("dnlnet", train, 8)
    torch.manual_seed(0)
    make("dnlnet", "batch = 2", 16)
    drawn = torch.get_rng_state()
    torch.manual_seed(0)
    make("dnlnet", "batch = 1", 16)
    assert torch.equal(torch.get_rng_state(), drawn)  # the check draws nothing


@pytest.mark.parametrize("key", ["negative", "near", "paste"])
def test_parts_are_of_whole_frames(tmp_path: Path, key: str) -> None:
    patches = (recipes.FOLDER / "dnlnet-drive.toml").read_text()
    with pytest.raises(InputError, match=f"{key} needs whole frames"):
        load(tmp_path, patches.replace("[augmentation]", f"[augmentation]\n{key} = 0.5", 1))


def test_what_needs_a_teacher(tmp_path: Path) -> None:
    for key in ("distil = 0.5", "hint = 1.0"):
        assert load(tmp_path, PHANTOM.replace("[train]", f"[train]\n{key}", 1)).train.taught
    assert not load(tmp_path, PHANTOM).train.taught
