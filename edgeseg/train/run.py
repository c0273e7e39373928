"""`edgeseg train`: data sets + recipe → a run folder that every later stage can read."""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import logging
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from edgeseg import atomic
from edgeseg.console import progress
from edgeseg.data.labelled import Labelled
from edgeseg.data.splits import list_sha256
from edgeseg.errors import BackendError, DataError, ModelError, OutputError, UsageError
from edgeseg.manifest import Frame, sha256
from edgeseg.nets import build, check_size
from edgeseg.nets.effunet import EffUNet
from edgeseg.nets.frame import FrameNet
from edgeseg.train.budget import Budget
from edgeseg.train.centre import centre, level_of, target_share
from edgeseg.train.checkpoint import AtomicCheckpointIO, load_weights
from edgeseg.train.deep import Deep
from edgeseg.train.device import best_device, keep_blocks, precision
from edgeseg.train.device_frames import DeviceBatches, DeviceFrames
from edgeseg.train.frames import Frames
from edgeseg.train.load import Start
from edgeseg.train.module import Segmenter
from edgeseg.train.recipe import Recipe, dump
from edgeseg.train.recorder import Recorder
from edgeseg.train.stop import Stop
from edgeseg.train.teacher import Lessons, Teacher
from edgeseg.train.unfold import settle, unfold
from edgeseg.train.write import git_state, made_from, terms, write_run

# Frames that the batch norms of an unfolded network are set by.
SETTLE = 64
Batches = DataLoader[tuple[torch.Tensor, torch.Tensor]] | DeviceBatches


def frame_of(recipe: Recipe) -> Frame:
    """The recipe's input as the manifest says it."""
    given = recipe.input
    return Frame(height=given.height, width=given.width, fit=given.fit, steps=[*given.steps], window=given.window)


def make_net(recipe: Recipe) -> FrameNet:
    """The recipe's network with fresh weights, channels last (faster on CPUs and tensor cores).

    Raises:
        UsageError: no such network, or a size of input or patches that it cannot take.
    """
    name = recipe.network.name
    net = build(name, len(recipe.classes) - 1, recipe.network.options)
    check_size(net, name, recipe.input.height, recipe.input.width)
    height, width, given = _trained_size(recipe)
    check_size(net, name, height, width, given)
    if recipe.train.batch == 1 and not recipe.train.freeze_norms:
        _check_single(net, name, height, width, given)
    frame_net = FrameNet(net, recipe.input.mean, recipe.input.std)
    return frame_net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _trained_size(recipe: Recipe) -> tuple[int, int, str]:
    """Height and width of what the network sees in training, and what to call them."""
    height = width = recipe.train.patch
    if height:
        return height, width, f"recipe {recipe.name}: patches of {height}x{width}"
    height, width = recipe.input.height, recipe.input.width
    return height, width, f"--imgsz {height}x{width}"


def _check_single(net: torch.nn.Module, name: str, height: int, width: int, given: str) -> None:
    """Whether a network can train on one frame at a time: a batch norm divides by the deviation of several values."""
    try:
        copy.deepcopy(net).to("meta").train()(torch.empty(1, 3, height, width, device="meta"))  # shapes alone
    except ValueError as error:
        raise UsageError(
            f"{given}: a single one leaves batch norms of {name} a single value; take --batch 2, or larger ones"
        ) from error


def train(
    recipe: Recipe,
    recipe_sha256: str,
    data: list[Labelled],
    out: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    devices: int = 1,
    start_from: Start | None = None,
    teacher: Teacher | None = None,
    seconds: float | None = None,
    quiet: bool = False,
) -> Path:
    """Trains and writes the run.

    Args:
        recipe: with any overrides already in it.
        recipe_sha256: of its file, see :func:`edgeseg.train.recipe.load`.
        data: from :func:`edgeseg.data.labelled.open_labelled`, with this ``seed`` and the recipe's ``val_fraction``.
        out: the run folder; must not exist unless ``resume``.
        seed: of weights, order and augmentation.
        resume: go on from ``last.ckpt`` if there is one.
        devices: processes (CPU) or GPUs; more than one uses DDP, and each takes the recipe's batch.
        start_from: what to begin with; a run's weights of a narrower network are grown.
        teacher: a trained network to learn from, if the recipe says how much (``distil``, ``hint``).
        seconds: end after this time, whatever the recipe says of epochs.
        quiet: no progress bar.

    Returns:
        ``out``.

    Raises:
        UsageError: ``out`` exists, or a resume with other settings.
        DataError: wrong data.
        OutputError: the disk.
        BackendError: the GPU's memory is too small.
    """
    check_settings(recipe, out, resume=resume, devices=devices, start_from=start_from, teacher=teacher)
    lightning.seed_everything(seed, verbose=False)
    net = make_net(recipe)
    if recipe.train.centre:
        level_of(net)
    lessons = None if teacher is None else _lessons(net, teacher, recipe)
    deep = _deep(net, recipe) if recipe.train.deep else None
    if start_from is not None and start_from.manifest is not None and start_from.folded:
        theirs, ours = start_from.manifest.frame, frame_of(recipe)
        if (theirs.steps, theirs.window) != (ours.steps, ours.window):
            raise UsageError(
                f"--from {start_from.name}: its frames have other steps or window than recipe {recipe.name} names"
            )
        unfold(net, start_from.data, f"--from {start_from.name}")
    elif start_from is not None:
        wanted = f"recipe {recipe.name}'s {recipe.network.name}"
        load_weights(net, start_from.data, f"--from {start_from.name}", grow=True, wanted=wanted)
    elif recipe.train.pretrained:
        _pretrain(net, recipe.name)
    # The checkout may be another when a long training ends. What is wrong is told before it, not after: so is a notice
    # that is too long.
    commit = git_state()
    terms(recipe, made_from(start_from, teacher))
    with contextlib.nullcontext() if follows(devices) else _folder(out), _quiet():
        frame = frame_of(recipe)
        train_set = Frames(
            [pair for one in data for pair in one.pairs("train")],
            frame,
            recipe.augmentation,
            seed,
            patch=recipe.train.patch,
            patches=recipe.train.patches,
        )
        val_set = Frames([pair for one in data for pair in one.pairs("val")], frame)
        if math.ceil(len(train_set) / devices) < recipe.train.batch:
            where = f" in each of {devices} processes" if devices > 1 else ""
            raise DataError(
                f"{len(train_set)} training frames are fewer than a batch of {recipe.train.batch}{where}; add some"
            )
        if recipe.train.centre:
            target_share(val_set)  # told before a training, not after it
        if recipe.train.keep == "best auc":  # else it would be 0 in every epoch, and the first one kept
            target_share(val_set, 'keep = "best auc"')
        if start_from is not None and start_from.folded:
            shown = list(train_set.some(SETTLE))
            with progress(quiet=quiet) as bar:
                task = bar.add_task("batch norms", total=len(shown), note="")
                settle(net, bar.track(shown, task_id=task))
        begun = {name: value.clone() for name, value in net.state_dict().items()} if recipe.train.stay else {}
        identity = _identity(recipe, seed, data, start_from, teacher, seconds, devices)
        recorder = Recorder(out, identity, recipe.train.keep, commit)
        _fit(
            recipe,
            net,
            lessons,
            deep,
            train_set,
            val_set,
            recorder,
            out,
            resume=resume,
            devices=devices,
            seconds=seconds,
            quiet=quiet,
        )
        if follows(devices):
            return out
        net.load_state_dict(recorder.weights)
        if begun:
            net.load_state_dict(_between(recorder.weights, begun, recipe.train.stay))
        net.to(best_device())
        if recipe.train.centre:
            centre(net, val_set)
        _write_splits(out, data)  # not before: a refused resume leaves a finished run as it was
        said = "# What this run was trained by, --epochs and the like in it."
        atomic.atomic_write(out / "recipe.toml", f"{said}\n{dump(recipe)}")
        write_run(out, recipe, recipe_sha256, seed, net, recorder, data, train_set, val_set, start_from, teacher)
    return out


def check_settings(
    recipe: Recipe, out: Path, *, resume: bool, devices: int, start_from: Start | None, teacher: Teacher | None
) -> None:
    """What can be said before any frame is read; arguments as of :func:`train`.

    Raises:
        UsageError: ``out`` is in use, or the recipe wants a teacher or a start that is not given, or none.
        ModelError: the start is of another network.
        OutputError: ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, not a folder; choose another --out")
    if out.exists() and not resume and not follows(devices) and any(out.iterdir()):
        raise UsageError(f"{out} exists; give --resume to go on with it, or another --out")
    if recipe.train.taught and teacher is None:
        raise UsageError(f"recipe {recipe.name} learns from a run (distil, hint); give that run with --teacher")
    if teacher is not None and not recipe.train.taught:
        raise UsageError(
            f"recipe {recipe.name} learns from no teacher; leave --teacher out, or set distil or hint in it"
        )
    for name, what in (("freeze_norms", "batch norms"), ("stay", "weights")):
        if getattr(recipe.train, name) and start_from is None:
            raise UsageError(f"recipe {recipe.name} keeps a model's {what} ({name}); say which with --from")
    if start_from is not None and start_from.manifest is not None:
        theirs, ours = start_from.manifest.task.network, recipe.network.name
        if theirs != ours:
            raise ModelError(
                f"--from {start_from.name}: is of the network {theirs}, and recipe {recipe.name} trains {ours}; give a "
                f"model of {ours}, or a recipe for {theirs}"
            )


def follows(devices: int) -> bool:
    """Whether Lightning started this process, with the same command, beside the first of several ``devices``.

    Such processes train; what is written is the first's.
    """
    return devices > 1 and os.environ.get("LOCAL_RANK", "0") != "0"


@contextlib.contextmanager
def _folder(out: Path) -> Iterator[None]:
    """The run folder for this training alone, without what a killed one left."""
    atomic.check_writable(out)
    with atomic.writer_lock(out):
        atomic.sweep(out)
        yield


def _between(ended: dict[str, Tensor], begun: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights between those that a training ended with and began with; ``share`` is of the latter."""
    return {
        name: value.lerp(begun[name].to(value), share) if value.is_floating_point() else value
        for name, value in ended.items()
    }


def _pretrain(net: FrameNet, name: str) -> None:
    if not isinstance(net.net, EffUNet):
        raise UsageError(f"recipe {name}: only effunet has published weights; take `pretrained` out")
    net.net.pretrain()


def _fit(
    recipe: Recipe,
    net: FrameNet,
    lessons: Lessons | None,
    deep: Deep | None,
    train_set: Frames,
    val_set: Frames,
    recorder: Recorder,
    out: Path,
    *,
    resume: bool,
    devices: int,
    seconds: float | None,
    quiet: bool,
) -> None:
    settings = recipe.train
    # Each process has a share of the frames, made up to equal ones, and takes a batch of its own a step.
    steps = settings.epochs * max(1, math.ceil(len(train_set) / devices) // settings.batch)
    module = Segmenter(net, settings, steps, lessons, deep)
    module.train()  # Lightning leaves modes as they are, and this one freezes what the recipe says
    stop = Stop()
    callbacks: list[Callback] = [recorder, stop]
    if settings.ema:
        # Told its device: it is asked before the network is moved there, and would average in main memory.
        average = get_ema_multi_avg_fn(settings.ema)  # type: ignore[no-untyped-call]
        callbacks.append(WeightAveraging(device=best_device() if devices == 1 else None, multi_avg_fn=average))
    callbacks.append(ModelCheckpoint(out, filename="last", save_top_k=1, monitor=None, enable_version_counter=False))
    if seconds is not None:
        callbacks.append(Budget(seconds))
    show = sys.stderr.isatty() and not quiet
    if show:
        callbacks.append(RichProgressBar())
    keep_blocks()
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        precision=precision(),
        max_epochs=settings.epochs,
        callbacks=callbacks,
        logger=TensorBoardLogger(out, name="tensorboard", version=""),
        plugins=[AtomicCheckpointIO(recorder.check)],
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        enable_progress_bar=show,
        enable_model_summary=False,
        log_every_n_steps=50,
        benchmark=False,  # on a shared H200 the search for kernels took longer than a hundred training steps
    )
    checkpoint = out / "last.ckpt"
    path = checkpoint if resume and checkpoint.is_file() else None
    try:
        loaders = _Loaders(train_set, val_set, settings.batch, frames_device(devices))
        with stop.watching():
            trainer.fit(module, datamodule=loaders, ckpt_path=path, weights_only=True)
        stop.ask()
    except SystemExit as error:  # Lightning turns Ctrl-C into an exit of its own
        stop.ask()
        raise KeyboardInterrupt from error
    except torch.OutOfMemoryError as error:
        raise BackendError("the GPU's memory does not hold this training; take a smaller --batch or --imgsz") from error
    except RuntimeError as error:
        stop.ask()  # a signal to the whole group ends the process beside the training too
        # torch says so itself, or, where it waited for frames, in the error that its own came from.
        if not any(re.search("killed by signal: (Killed|Term)", str(one)) for one in (error, error.__cause__)):
            raise
        raise BackendError(
            "the process that prepares frames beside the training was killed; if it was for want of memory, free "
            "some and go on with --resume, or begin again with a smaller --imgsz"
        ) from error


class _Loaders(lightning.LightningDataModule):
    """Rebuilt each epoch, so that an epoch's order and augmentation depend on its number alone.

    Args:
        train_set: with its augmentation.
        val_set: without.
        batch: of the training.
        device: where the frames are kept and augmented; None for main memory and a process beside the training.
    """

    def __init__(self, train_set: Frames, val_set: Frames, batch: int, device: torch.device | None) -> None:
        super().__init__()
        self.train_set, self.val_set, self.batch = train_set, val_set, batch
        self.there = None if device is None else [DeviceFrames(one, device) for one in (train_set, val_set)]

    def train_dataloader(self) -> Batches:
        epoch = self.trainer.current_epoch if self.trainer else 0
        if self.there:
            return self.there[0].batches(self.batch, epoch, shuffle=True)
        return self.train_set.loader(self.batch, epoch, shuffle=True)

    def val_dataloader(self) -> Batches:
        if self.there:
            return self.there[1].batches(8, 0, shuffle=False)
        return self.val_set.loader(8, 0, shuffle=False)


def frames_device(devices: int) -> torch.device | None:
    """Where the frames are kept and augmented; None for main memory.

    Several GPUs share an epoch through Lightning's sampler, which needs PyTorch's own kind of loader.
    """
    device = best_device()
    return device if device.type == "cuda" and devices == 1 else None


def _lessons(net: FrameNet, teacher: Teacher, recipe: Recipe) -> Lessons:
    check_size(teacher.net.net, "the teacher", *_trained_size(recipe))
    frame = frame_of(recipe)
    theirs = teacher.manifest.frame
    if (theirs.steps, theirs.window) != (frame.steps, frame.window):
        raise UsageError(f"--teacher: was trained on frames with other steps or window than recipe {recipe.name} names")
    try:
        return Lessons(net, teacher.net, recipe.train.distil, recipe.train.hint)
    except ValueError as error:
        raise UsageError(f"--teacher with recipe {recipe.name}: {error}") from error


def _deep(net: FrameNet, recipe: Recipe) -> Deep:
    try:
        return Deep(net, len(recipe.classes) - 1)
    except ValueError as error:
        raise UsageError(f"recipe {recipe.name}: {error}") from error


def _identity(
    recipe: Recipe,
    seed: int,
    data: list[Labelled],
    start: Start | None,
    teacher: Teacher | None,
    seconds: float | None,
    devices: int,
) -> dict[str, str]:
    """What must be equal for a resume, named as the user would name it."""
    return {
        "--from": "none" if start is None else start.sha256[:12],
        "--teacher": "none" if teacher is None else teacher.manifest.training.weights_sha256[:12],
        "--time": "none" if seconds is None else f"{seconds / 3600:g}",
        "--devices": "none" if devices == 1 else str(devices),  # the schedule's steps are each one's own
        # Without defaults: a key that edgeseg learns later changes no recipe that does not name it.
        "recipe": sha256(recipe.model_dump_json(exclude_defaults=True).encode())[:12],
        "--seed": str(seed),
        "--data": ",".join(one.dataset.listing_sha256[:12] for one in data),
        "training frames": ",".join(list_sha256(one.splits.train)[:12] for one in data),
        # They choose the epoch that is kept, and its rows in metrics.csv are compared.
        "validation frames": ",".join(list_sha256(one.splits.val)[:12] for one in data),
    }


def _write_splits(out: Path, data: list[Labelled]) -> None:
    for one in data:
        for name in ("train", "val", "test"):
            stems = one.splits.of(name)
            if stems:
                atomic.atomic_write(out / "splits" / f"{one.dataset.name}.{name}.txt", "\n".join(stems) + "\n")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's banners and advice are for its own users; ours get progress and errors."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def versions(
    names: tuple[str, ...] = ("torch", "lightning", "monai", "numpy", "opencv-python-headless"),
) -> dict[str, str]:
    """Installed versions of what shaped the weights."""
    out = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            out[name] = importlib.metadata.version(name)
    return out
