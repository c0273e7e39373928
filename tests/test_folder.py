"""Reading a bundle: nothing outside of it, nothing that changed, nothing that is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeseg.errors import ModelError
from edgeseg.folder import Folder
from edgeseg.manifest import sha256


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    out = tmp_path / "a.edgeseg"
    (out / "graphs").mkdir(parents=True)
    (out / "graphs" / "float.onnx").write_bytes(b"graph")
    (tmp_path / "secret").write_bytes(b"secret")
    return out


def test_reads_files_at_any_depth(bundle: Path) -> None:
    with Folder(bundle) as folder:
        assert folder.read("graphs/float.onnx") == b"graph"
        assert folder.checked("graphs/float.onnx", sha256(b"graph"), 5) == b"graph"


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "graphs/../../secret",
        "/etc/hostname",
        "./graphs/float.onnx",
        "graphs//float.onnx",
        "graphs/",
        "",
        ".",
        "..",
        ".hidden",
        "graphs\\float.onnx",
        "graphs/float.onnx\n",
        "graphs/float.onnx\0.txt",
        "gräph",
        "a" * 129,
    ],
)
def test_names_that_no_bundle_may_hold(bundle: Path, name: str) -> None:
    with Folder(bundle) as folder, pytest.raises(ModelError, match="not allowed in a bundle"):
        folder.read(name)


def test_no_symlink_is_followed(bundle: Path, tmp_path: Path) -> None:
    (bundle / "link").symlink_to(tmp_path / "secret")
    (bundle / "inside").symlink_to(bundle / "graphs" / "float.onnx")
    (bundle / "way").symlink_to(tmp_path)
    with Folder(bundle) as folder:
        for name in ("link", "inside", "way/secret"):
            with pytest.raises(ModelError, match="cannot be read"):
                folder.read(name)


def test_folder_is_held_by_its_handle(bundle: Path, tmp_path: Path) -> None:
    """Whoever exchanges the folder while it is read changes nothing of what is read."""
    with Folder(bundle) as folder:
        bundle.rename(tmp_path / "moved")
        (bundle / "graphs").mkdir(parents=True)
        (bundle / "graphs" / "float.onnx").write_bytes(b"other")
        assert folder.read("graphs/float.onnx") == b"graph"


def test_what_is_no_regular_file_does_not_hang(bundle: Path) -> None:
    os.mkfifo(bundle / "pipe")
    (bundle / "null").symlink_to("/dev/null")
    with Folder(bundle) as folder:
        for name in ("pipe", "graphs", "null"):
            with pytest.raises(ModelError, match="no regular file|cannot be read"):
                folder.read(name)


def test_missing(bundle: Path) -> None:
    with Folder(bundle) as folder:
        for name in ("nothing", "nothing/here", "graphs/float.onnx/deep"):
            with pytest.raises(ModelError, match="cannot be read"):
                folder.read(name)


def test_size_is_compared_before_anything_is_read(bundle: Path) -> None:
    with (bundle / "huge").open("wb") as handle:
        handle.truncate(1 << 40)
    with Folder(bundle) as folder:
        with pytest.raises(ModelError, match="1099511627776 bytes, more than the 5"):
            folder.checked("huge", sha256(b""), 5)
        with pytest.raises(ModelError, match="more than"):
            folder.read("huge")


@pytest.mark.parametrize("content", [b"grapH", b"grap", b"graphs", b""])
def test_changed_bytes(bundle: Path, content: bytes) -> None:
    (bundle / "graphs" / "float.onnx").write_bytes(content)
    with Folder(bundle) as folder, pytest.raises(ModelError, match="changed|more than the 5 expected"):
        folder.checked("graphs/float.onnx", sha256(b"graph"), 5)


def test_no_handle_stays_open(bundle: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Folder(bundle) as folder:
        for name in ("graphs/float.onnx", "graphs/none", "nothing/x", "graphs"):
            try:
                folder.read(name)
            except ModelError:
                continue
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("what", ["nothing", "file"])
def test_no_folder(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="cannot be opened as a folder"):
        Folder(tmp_path / what)


@pytest.mark.parametrize(
    ("manifest", "line", "said"),
    [
        (b"{}", None, "manifest.sha256: cannot be read"),
        (b"{}", "", "has changed"),
        (b"{}", sha256(b"{}"), "has changed"),
        (b"{}", f"{sha256(b'{ }')}  manifest.json\n", "has changed"),
        (b"{}", f"{sha256(b'{}')}  other.json\n", "has changed"),
        (b"{}", f"{sha256(b'{}')}  manifest.json\r\n", "has changed"),  # the C library takes none of these either
        (b"{}", f"{sha256(b'{}')} manifest.json\n", "has changed"),
        (b"{}", f"{sha256(b'{}')}  manifest.json\n", "not edgeseg's"),
        (b"{", f"{sha256(b'{')}  manifest.json\n", "is not JSON"),
        (b"{}", "x" * 300, "more than the 256 expected"),
        (b" " * ((1 << 20) + 1), "", "more than the 1048576 expected"),
    ],
)
def test_manifest_is_compared_before_it_is_parsed(bundle: Path, manifest: bytes, line: str | None, said: str) -> None:
    (bundle / "manifest.json").write_bytes(manifest)
    if line is not None:
        (bundle / "manifest.sha256").write_text(line, newline="")
    with Folder(bundle) as folder, pytest.raises(ModelError, match=said) as caught:
        folder.manifest()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
