"""Which frames train, choose and report; and that a model's split is found again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgeseg import manifest as mf
from edgeseg.data.dataset import Dataset, Pair
from edgeseg.data.labelled import open_labelled
from edgeseg.data.lineage import check_parent
from edgeseg.data.select import seen, select, to_choose
from edgeseg.data.splits import Splits, draw, list_sha256, resolve
from edgeseg.errors import DataError, UsageError


def dataset(root: Path, groups: dict[str, str | None], **lists: tuple[str, ...]) -> Dataset:
    pairs = []
    for stem, group in groups.items():
        files = [root / part / f"{stem}.png" for part in ("images", "masks")]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(stem.encode())
        pairs.append(Pair(stem, *files, group))
    return Dataset("set", root, tuple(sorted(pairs, key=lambda p: p.stem)), "none", lists=lists)


def singles(number: int) -> dict[str, str | None]:
    return {f"f{i:03d}": None for i in range(number)}


def grouped(sizes: list[int]) -> dict[str, str | None]:
    return {f"g{g:02d}_{i:02d}": f"g{g:02d}" for g, size in enumerate(sizes) for i in range(size)}


def test_everything_is_drawn_where_no_list_says(tmp_path: Path) -> None:
    splits = resolve(dataset(tmp_path, singles(100)), 0)
    parts = [splits.train, splits.val, splits.test]
    assert [len(part) for part in parts] == [72, 8, 20]
    assert sorted(sum(parts, ())) == list(singles(100))
    assert all(list(part) == sorted(part) for part in parts)


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    """Also for another order of files, so that no file system decides."""
    whole = dataset(tmp_path, singles(50))
    turned = Dataset(whole.name, whole.root, tuple(reversed(whole.pairs)), "none")
    assert resolve(whole, 3) == resolve(whole, 3) == resolve(turned, 3)
    assert resolve(whole, 3) != resolve(whole, 4)


def test_draw_is_pinned() -> None:
    """Released models find their splits by drawing again: this must never change."""
    pairs = [Pair(f"{i:02d}", Path(), Path(), f"s{i // 4}" if i < 24 else None) for i in range(40)]
    rest, taken = draw(pairs, 10, 0)
    assert taken == ("08", "09", "10", "11", "16", "17", "18", "19", "28", "34", "37")
    assert sorted(rest + taken) == [pair.stem for pair in pairs]


@pytest.mark.parametrize("seed", range(10))
def test_groups_stay_together(tmp_path: Path, seed: int) -> None:
    splits = resolve(dataset(tmp_path, grouped([7, 3, 12, 1, 9, 5, 5, 8])), seed)
    parts = [{stem[:3] for stem in part} for part in (splits.train, splits.val, splits.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert all(parts)
    assert len(splits.test) >= 10


def test_a_group_and_a_stem_of_one_name_are_two(tmp_path: Path) -> None:
    pairs = [Pair("a", Path(), Path(), None), Pair("b", Path(), Path(), "a"), Pair("c", Path(), Path(), "a")]
    for seed in range(10):
        _, taken = draw(pairs, 1, seed)
        assert set(taken) in ({"a"}, {"b", "c"})


def test_one_group_always_stays(tmp_path: Path) -> None:
    rest, taken = draw([Pair(s, Path(), Path(), s[0]) for s in ("a1", "a2", "b1")], 99, 0)
    assert rest
    assert taken
    assert draw([Pair("a", Path(), Path())], 1, 0) == (("a",), ())
    assert draw([], 1, 0) == ((), ())


def test_lists_win(tmp_path: Path) -> None:
    stems = list(singles(20))
    listed = dataset(tmp_path, singles(20), train=tuple(stems[:10]), test=tuple(stems[15:]))
    splits = resolve(listed, 0)
    assert splits.test == tuple(stems[15:])
    assert set(splits.train) | set(splits.val) == set(stems[:10])
    assert len(splits.val) == 1
    all_three = dataset(tmp_path, singles(20), train=tuple(stems[:10]), val=("f012",), test=("f019",))
    assert resolve(all_three, 0) == Splits(tuple(stems[:10]), ("f012",), ("f019",))


def test_only_a_test_or_only_a_val_list(tmp_path: Path) -> None:
    stems = list(singles(20))
    splits = resolve(dataset(tmp_path, singles(20), test=("f000", "f001")), 0)
    assert splits.test == ("f000", "f001")
    assert sorted(splits.train + splits.val) == stems[2:]
    splits = resolve(dataset(tmp_path, singles(20), val=("f000",)), 0)
    assert splits.val == ("f000",)
    assert "f000" not in splits.train + splits.test
    assert len(splits.test) == 4


def test_a_given_list_replaces_the_training_part(tmp_path: Path) -> None:
    stems = list(singles(20))
    file = tmp_path / "train_seq.txt"
    file.write_text("\n".join(stems[:8]))
    whole = dataset(tmp_path, singles(20), train=tuple(stems[8:]), test=tuple(stems[:2]))
    said = r"train_seq\.txt: 2 of its frames \(such as f000\) are in the test split of .* or say in .*test_seq\.txt"
    with pytest.raises(DataError, match=said):
        resolve(whole, 0, train_list=file)
    (tmp_path / "test_seq.txt").write_text("\n".join(stems[7:10]))
    with pytest.raises(DataError, match=r"1 of its frames \(such as f007\) are in the test split"):
        resolve(whole, 0, train_list=file)
    (tmp_path / "test_seq.txt").write_text("\n".join(stems[8:10]))
    splits = resolve(whole, 0, train_list=file)
    assert sorted(splits.train + splits.val) == stems[:8]
    assert splits.test == tuple(stems[8:10])  # what the list by sequence holds out, not the random one's
    for lists, test in (({"test": tuple(stems[15:])}, tuple(stems[15:])), ({}, ())):
        mine = tmp_path / "mine.txt"
        mine.write_text("\n".join(stems[:8]))
        assert resolve(dataset(tmp_path, singles(20), **lists), 0, train_list=mine).test == test


def test_the_test_list_itself_trains_nothing(tmp_path: Path) -> None:
    stems = list(singles(20))
    file = tmp_path / "test.txt"
    file.write_text("\n".join(stems[:8]))
    whole = dataset(tmp_path, singles(20), train=tuple(stems[8:]), test=tuple(stems[:8]))
    with pytest.raises(DataError, match="8 of its frames .* are in the test split"):
        resolve(whole, 0, train_list=file)


def test_validation_share(tmp_path: Path) -> None:
    whole = dataset(tmp_path, singles(40), train=tuple(singles(40)))
    assert len(resolve(whole, 0, val_fraction=0.25).val) == 10
    assert len(resolve(whole, 0, val_fraction=0.001).val) == 1


def test_wrong_splits(tmp_path: Path) -> None:
    for lists, said in (
        ({"train": ("f000", "f001"), "test": ("f001",)}, "f001 is in both the .* and the test split; list it once"),
        ({"train": ("f000", "f001"), "val": ("f001",)}, "f001 is in both the train and the val split"),
        ({"train": ("f000", "nope"), "test": ("f001",)}, "lists nope, but there is no such image"),
        ({"train": ("f000", "f001"), "test": ("nope",)}, "lists nope, but there is no such image"),
        ({"train": ("f000",), "test": ("f001",)}, "the val split is empty; more frames are needed"),
        ({"test": tuple(singles(9))}, "the train split is empty"),
    ):
        with pytest.raises(DataError, match=said):
            resolve(dataset(tmp_path, singles(9), **lists), 0)
    with pytest.raises(DataError, match="val split is empty"):
        resolve(dataset(tmp_path, grouped([9])), 0)
    with pytest.raises(DataError, match="empty"):
        resolve(dataset(tmp_path, singles(1)), 0)


def test_list_hash_is_the_contracts() -> None:
    wanted = hashlib.sha256(b"a\nb\nc\n").hexdigest()
    assert list_sha256(["c", "a", "b"]) == list_sha256(("a", "b", "c")) == wanted


# select(): DATA of the contract against a model.


def folder(root: Path, number: int = 30) -> Path:
    root.mkdir(parents=True)
    dataset(root, singles(number))
    return root


def model(root: Path, splits: Splits, *, seed: int = 0, listing: str | None = None) -> mf.Manifest:
    from edgeseg.data.layouts import open_dataset

    example = mf.parse((Path(__file__).parent / "contract_manifest.json").read_bytes())
    opened = open_dataset(root)
    uses = [
        mf.SplitUse(
            data=opened.name,
            split=name,
            images=len(splits.of(name)),
            list_sha256=list_sha256(splits.of(name)),
        )
        for name in ("train", "val", "test")
        if splits.of(name)
    ]
    data = mf.DataUse(name=opened.name, listing_sha256=listing or opened.listing_sha256, terms="none")
    training = example.training.model_copy(update={"seed": seed, "data": [data], "splits": uses, "ancestors": None})
    return example.model_copy(update={"training": training})


def stems_of(root: Path, split: str | None, manifest: mf.Manifest | None, default: str = "test") -> tuple[str, ...]:
    (selection,) = select([root], split, default, manifest)
    return tuple(pair.stem for pair in selection.pairs)


def open_and_resolve(root: Path, seed: int = 0, train_list: Path | None = None) -> Splits:
    from edgeseg.data.layouts import open_dataset

    return resolve(open_dataset(root), seed, train_list=train_list)


@pytest.mark.parametrize("seed", [0, 7])
def test_drawn_splits_are_drawn_again(tmp_path: Path, seed: int) -> None:
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root, seed)
    manifest = model(root, splits, seed=seed)
    for name in ("train", "val", "test"):
        assert stems_of(root, name, manifest) == splits.of(name)
    assert stems_of(root, None, manifest, "val") == splits.val


@pytest.mark.parametrize("lists", [("train",), ("test",), ("train", "test"), ("train", "val", "test"), ("val",)])
def test_splits_of_every_mix_of_lists_are_found_again(tmp_path: Path, lists: tuple[str, ...]) -> None:
    root = folder(tmp_path / "set")
    stems = list(singles(30))
    parts = {"train": stems[:20], "val": stems[20:23], "test": stems[23:]}
    for name in lists:
        (root / f"{name}.txt").write_text("\n".join(parts[name]))
    splits = open_and_resolve(root, 5)
    manifest = model(root, splits, seed=5)
    for name in ("train", "val", "test"):
        if splits.of(name):
            assert stems_of(root, name, manifest) == splits.of(name), name


def test_a_model_trained_on_a_list_of_the_folder(tmp_path: Path) -> None:
    """--split train_seq.txt: its validation frames are found again, the test split is a list's."""
    root = folder(tmp_path / "set")
    stems = list(singles(30))
    (root / "train.txt").write_text("\n".join(stems[:15]))
    (root / "test.txt").write_text("\n".join(stems[15:]))
    (root / "train_seq.txt").write_text("\n".join(stems[10:]))
    (root / "test_seq.txt").write_text("\n".join(stems[:10]))
    splits = open_and_resolve(root, 0, root / "train_seq.txt")
    manifest = model(root, splits)
    assert stems_of(root, "val", manifest) == splits.val
    assert stems_of(root, "train", manifest) == splits.train
    assert stems_of(root, str(root / "test_seq.txt"), manifest) == tuple(stems[:10])
    # test.txt holds frames that trained this model: its own test split is the list's counterpart.
    assert stems_of(root, None, manifest) == tuple(stems[:10])
    old = model(root, Splits(splits.train, splits.val, ()))  # a run from before that was written down
    assert stems_of(root, None, old) == tuple(stems[:10])
    for one in (manifest, old):
        (picked,) = select([root], str(root / "test.txt"), "test", one)
        assert seen(picked, one) == (len(set(splits.train) & set(stems[15:])), 0)
        assert seen(picked, one)[0] > 0
        assert seen(select([root], None, "test", one)[0], one) == (0, 0)
        assert seen(picked, None) is None  # nothing is known of a bare graph


def test_neighbours_of_training_frames_are_counted(tmp_path: Path) -> None:
    """As in the usual split of CVC-ClinicDB: other frames, of the same sequences."""
    root = folder(tmp_path / "set")
    stems = list(singles(30))
    lines = [f"{stem},s{number // 10}" for number, stem in enumerate(stems)]
    (root / "groups.csv").write_text("\n".join(["stem,group", *lines]) + "\n")
    (root / "train.txt").write_text("\n".join(stems[:15]))  # s0 and half of s1, one of which validates
    (root / "test.txt").write_text("\n".join(stems[15:]))
    splits = open_and_resolve(root, 0)
    manifest = model(root, splits)
    (picked,) = select([root], None, "test", manifest)
    trained = {int(stem[1:]) // 10 for stem in splits.train}
    assert seen(picked, manifest) == (0, sum(int(stem[1:]) // 10 in trained for stem in splits.test))
    (every,) = select([root], "train", "test", manifest)
    assert seen(every, manifest) == (len(splits.train), 0)


def test_a_model_that_saw_every_frame_of_the_test_list(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    stems = list(singles(30))
    (root / "some.txt").write_text("\n".join(stems[:20]))
    splits = open_and_resolve(root, 0, root / "some.txt")
    assert splits.test == ()
    manifest = model(root, splits)
    said = "npnet-polyp was trained on it and no frames are known that it has not seen; give --split FILE"
    with pytest.raises(DataError, match=said):
        stems_of(root, None, manifest)
    (root / "test.txt").write_text("\n".join(stems[10:]))  # drawn up later, over what was trained on
    with pytest.raises(DataError, match=said):
        stems_of(root, None, manifest)


# What may be chosen on, and what a training may begin with.


def test_nothing_is_chosen_on_test_frames(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root)
    own = model(root, splits)
    assert [pair.stem for pair in to_choose([root], None, own)[0].pairs] == list(splits.val)
    with pytest.raises(UsageError, match="--split test: the test split only reports, nothing may be chosen on it"):
        to_choose([root], "test", own)
    file = tmp_path / "mine.txt"
    file.write_text("\n".join([*splits.val, splits.test[0]]))
    said = rf"--split mine\.txt: 1 of its frames \(such as {splits.test[0]}\) are test frames of"
    with pytest.raises(UsageError, match=said):
        to_choose([root], str(file), own)
    file.write_text("\n".join(splits.val))
    assert len(to_choose([root], str(file), own)[0].pairs) == len(splits.val)


def test_nothing_is_chosen_on_test_frames_of_another_set(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    stranger = model(folder(tmp_path / "elsewhere", 31), open_and_resolve(root))
    assert len(to_choose([root], None, stranger)[0].pairs) == 30  # no lists: nothing is held out
    (root / "val.txt").write_text("f000\nf001\n")
    (root / "test.txt").write_text("f001\nf002\n")
    with pytest.raises(UsageError, match=r"--split val: 1 of its frames \(such as f001\) are test frames"):
        to_choose([root], None, stranger)
    (root / "test.txt").write_text("f002\n")
    assert len(to_choose([root], None, stranger)[0].pairs) == 2


def test_weights_to_begin_with_have_not_seen_what_is_held_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    run = tmp_path / "run"
    (run / "splits").mkdir(parents=True)
    splits = open_and_resolve(root, 0)
    for name in ("train", "val", "test"):
        (run / "splits" / f"set.{name}.txt").write_text("\n".join(splits.of(name)))
    check_parent("--from", str(run), open_labelled([root], 0, None, 0.1), None)
    check_parent("--from", str(run), open_labelled([root], 0, None, 0.05), None)
    said = r"--from .*run: \d+ frames of set \(such as f\d+\) were in its train split and are in .* test split"
    with pytest.raises(UsageError, match=said):
        check_parent("--from", str(run), open_labelled([root], 1, None, 0.1), None)
    with pytest.raises(UsageError, match="were in its train split and are in this training's val split"):
        check_parent("--from", str(run), open_labelled([root], 0, None, 0.4), None)
    other = tmp_path / "set2"
    folder(other)
    check_parent("--from", str(run), open_labelled([other], 1, None, 0.1), None)  # another set


def ancestor(root: Path, splits: Splits, seed: int = 0) -> mf.Ancestor:
    one = model(root, splits, seed=seed).training
    return mf.Ancestor(recipe="npnet-cvc", seed=seed, weights_sha256="0" * 64, data=one.data, splits=one.splits)


def later(manifest: mf.Manifest, *before: mf.Ancestor) -> mf.Manifest:
    return manifest.model_copy(
        update={"training": manifest.training.model_copy(update={"ancestors": list(before) or None})}
    )


def test_a_model_before_the_parent_has_not_seen_what_is_held_out(tmp_path: Path) -> None:
    """On another set it learns, on the first it is measured: the manifest of the second tells of the first."""
    first, second = folder(tmp_path / "first"), folder(tmp_path / "second", 20)
    manifest = later(model(second, open_and_resolve(second)), ancestor(first, open_and_resolve(first)))
    check_parent("--from", "b", open_labelled([first, second], 0, None, 0.1), None, manifest)
    said = (
        r"b: \d+ frames of first \(such as f\d+\) were in an earlier training's \(npnet-cvc\) train split "
        "and are in this training's test split"
    )
    with pytest.raises(UsageError, match=said):
        check_parent("--from", "b", open_labelled([first], 1, None, 0.1), None, manifest)
    run = manifest.model_copy(update={"kind": "run"})
    with pytest.raises(UsageError, match=said):
        check_parent("--teacher", str(tmp_path / "b"), open_labelled([first], 1, None, 0.1), None, run)
    check_parent("--from", "b", open_labelled([first], 1, None, 0.1), None, later(manifest))


def test_a_renamed_folder_is_known_by_its_frames(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root)
    manifest = model(root, splits)
    run = tmp_path / "run"
    (run / "splits").mkdir(parents=True)
    (run / "splits" / "set.train.txt").write_text("\n".join(splits.train))
    renamed = root.rename(tmp_path / "renamed")
    assert stems_of(renamed, None, manifest) == splits.test
    (everything,) = select([renamed], "train", "test", manifest)
    assert seen(everything, manifest) == (len(splits.train), 0)
    for name, before in ((str(run), manifest.model_copy(update={"kind": "run"})), ("bundle", manifest)):
        with pytest.raises(UsageError, match="were in its train split and are in this training's test split"):
            check_parent("--from", name, open_labelled([renamed], 1, None, 0.1), None, before)


def test_a_folder_given_twice(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    (tmp_path / "link").symlink_to(root)
    with pytest.raises(UsageError, match="--data .*set: is given twice"):
        select([root, tmp_path / "link"], None, "test", None)


def test_a_set_that_has_changed_since_a_model_before_the_parent_saw_it(tmp_path: Path) -> None:
    first, second = folder(tmp_path / "first"), folder(tmp_path / "second", 20)
    splits = open_and_resolve(first)
    manifest = later(model(second, open_and_resolve(second)), ancestor(first, splits))
    for part in ("images", "masks"):
        (first / part / "f999.png").write_bytes(b"new")
    with pytest.raises(
        UsageError, match=r"--from b, an earlier training \(npnet-cvc\): was trained on a data set first"
    ):
        check_parent("--from", "b", open_labelled([first], 0, None, 0.1), None, manifest)
    # What it held out may be held out again: its own lists say so.
    for name in ("test", "val"):
        (first / f"{name}.txt").write_text("\n".join(splits.of(name)))
    check_parent("--from", "b", open_labelled([first], 0, None, 0.1), None, manifest)
    (first / "test.txt").write_text("\n".join(splits.test[1:] + splits.train[:1]))
    with pytest.raises(UsageError, match="an earlier training"):
        check_parent("--from", "b", open_labelled([first], 0, None, 0.1), None, manifest)


def test_a_set_that_grows_from_training_to_training(tmp_path: Path) -> None:
    """What the parent held out was checked against the training before it; what is new since nobody can tell."""
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root)
    old = ancestor(root, splits)
    for part in ("images", "masks"):
        (root / part / "f999.png").write_bytes(b"new")
    for name in ("test", "val"):
        (root / f"{name}.txt").write_text("\n".join(splits.of(name)))
    run = tmp_path / "run"
    (run / "splits").mkdir(parents=True)
    now = open_and_resolve(root)
    for name in ("train", "val", "test"):
        (run / "splits" / f"set.{name}.txt").write_text("\n".join(now.of(name)))
    manifest = later(model(root, now), old).model_copy(update={"kind": "run"})
    for part in ("images", "masks"):
        (root / part / "f998.png").write_bytes(b"newer")
    check_parent("--from", str(run), open_labelled([root], 0, None, 0.1), None, manifest)
    # Fewer of them are no other list, but no frame may come to them that the parent did not hold out.
    (root / "test.txt").write_text("\n".join(splits.test[1:]))
    check_parent("--from", str(run), open_labelled([root], 0, None, 0.1), None, manifest)
    (root / "test.txt").write_text("\n".join([*splits.test, "f998"]))
    with pytest.raises(UsageError, match="an earlier training"):
        check_parent("--from", str(run), open_labelled([root], 0, None, 0.1), None, manifest)


def test_a_run_without_its_lists_is_asked_by_its_manifest(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root)
    manifest = model(root, splits).model_copy(update={"kind": "run"})
    run = tmp_path / "run"
    for listed in (None, splits.val):  # none, or not those that it tells of
        if listed:
            (run / "splits").mkdir(parents=True)
            (run / "splits" / "set.train.txt").write_text("\n".join(listed))
        check_parent("--from", str(run), open_labelled([root], 0, None, 0.1), None, manifest)
        with pytest.raises(UsageError, match=r"take that training's --seed \(0\), its --split"):
            check_parent("--from", str(run), open_labelled([root], 1, None, 0.1), None, manifest)


def test_a_list_outside_of_the_folder(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    file = tmp_path / "part.txt"
    file.write_text("\n".join(f"f{i:03d}" for i in range(20)))
    splits = open_and_resolve(root, train_list=file)
    manifest = model(root, splits)
    check_parent("--from", "bundle", open_labelled([root], 0, file, 0.1), file, manifest)
    with pytest.raises(UsageError, match="nothing in .*set says on which of its frames"):
        check_parent("--from", "bundle", open_labelled([root], 0, None, 0.1), None, manifest)


def test_frames_that_a_model_before_this_one_was_trained_on_count_as_seen(tmp_path: Path) -> None:
    first, second = folder(tmp_path / "first"), folder(tmp_path / "second", 20)
    splits = open_and_resolve(first)
    manifest = later(model(second, open_and_resolve(second)), ancestor(first, splits))
    assert stems_of(first, None, manifest) == splits.test  # found again as the earlier training's
    (selection,) = select([first], "train", "test", manifest)
    assert seen(selection, manifest) == (len(splits.train), 0)
    assert seen(selection, later(manifest)) == (0, 0)
    (first / "images" / "f999.png").write_bytes(b"new")
    (first / "masks" / "f999.png").write_bytes(b"new")
    with pytest.raises(DataError, match="was trained on a data set of this name, but its files have changed"):
        select([first], None, "test", manifest)
    (tmp_path / "list.txt").write_text("f000\n")
    (selection,) = select([first], str(tmp_path / "list.txt"), "test", manifest)
    assert seen(selection, manifest) is None


def test_a_validation_frame_of_the_parent_is_no_test_frame(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root, 0)
    run = tmp_path / "run"
    (run / "splits").mkdir(parents=True)
    (run / "splits" / "set.val.txt").write_text(splits.test[0])
    with pytest.raises(UsageError, match="were in its val split and are in this training's test split"):
        check_parent("--from", str(run), open_labelled([root], 0, None, 0.1), None)


def test_text_files_that_are_no_lists(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root)
    manifest = model(root, splits)
    (root / "README.txt").write_text("f000\n----\nThese frames\n----\n")
    (root / "notes.txt").write_bytes(b"f000\nElse\xff\n")
    (root / "empty.txt").write_text("")
    (root / "some.txt").write_text("f000\nf999\n")
    for name in ("train", "val", "test"):
        assert stems_of(root, name, manifest) == splits.of(name)


def test_a_split_that_cannot_be_found_again(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root)
    odd = Splits(splits.train[1:], splits.val, splits.test)
    with pytest.raises(DataError, match=r"the train split that npnet-polyp was trained with cannot be found again"):
        stems_of(root, "train", model(root, odd))
    with pytest.raises(DataError, match="cannot be found again"):
        stems_of(root, "val", model(root, splits, seed=1))


def test_other_frames_than_the_model_saw(tmp_path: Path) -> None:
    """All pairs where the folder has no lists; its lists where it has some; never a silent guess."""
    root = folder(tmp_path / "set")
    splits = open_and_resolve(root)
    other = model(folder(tmp_path / "elsewhere", 31), splits)
    assert stems_of(root, None, other) == tuple(singles(30))
    assert stems_of(root, None, None) == tuple(singles(30))
    for manifest in (other, None):
        with pytest.raises(DataError, match=r"has no test\.txt and the model was not trained on it; give --split FILE"):
            stems_of(root, "test", manifest)
    (root / "test.txt").write_text("f003\n")
    assert stems_of(root, None, other) == ("f003",)
    assert stems_of(root, "test", None) == ("f003",)
    with pytest.raises(DataError, match=r"has no val\.txt"):
        stems_of(root, None, other, "val")


def test_frames_added_after_the_training(tmp_path: Path) -> None:
    """The splits cannot be drawn again, and all frames would be mostly those it was trained on."""
    root = folder(tmp_path / "set")
    manifest = model(root, open_and_resolve(root))
    for part in ("images", "masks"):
        (root / part / "f999.png").write_bytes(b"new")
    said = (
        "npnet-polyp was trained on a data set of this name, but its files have changed and no list says which frames"
    )
    for default in ("val", "test"):
        with pytest.raises(DataError, match=said):
            stems_of(root, None, manifest, default)
    file = tmp_path / "new.txt"
    file.write_text("f999")
    assert stems_of(root, str(file), manifest) == ("f999",)


def test_split_files_and_nonsense(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    file = tmp_path / "mine.txt"
    file.write_text("f002\nf001\n")
    (selection,) = select([root], str(file), "test", None)
    assert (selection.split, [p.stem for p in selection.pairs]) == ("mine.txt", ["f002", "f001"])
    with pytest.raises(DataError, match="--split tests: is neither train, val, test nor a file of stems"):
        select([root], "tests", "test", None)
    file.write_text("zzz\n")
    with pytest.raises(DataError, match="lists zzz"):
        select([root], str(file), "test", None)


def test_several_folders(tmp_path: Path) -> None:
    roots = [folder(tmp_path / "one", 5), folder(tmp_path / "two", 7)]
    assert [len(s.pairs) for s in select(roots, None, "test", None)] == [5, 7]
