import gzip
import io
import lzma
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.archive import ArchiveWriter, Limits, blocks, extract, read
from replay.archive.naming import link_stays_inside, split_name
from replay.model import ArchiveError

_LIMITS = Limits(bytes_max=1_000_000, members_max=50, path_bytes_max=200)


def _member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 1_000_000
    return info


def _tar(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member in members:
            info, content = (member, b"") if isinstance(member, tarfile.TarInfo) else (_member(member[0]), member[1])
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _extract(tmp_path: Path, content: bytes, limits: Limits = _LIMITS) -> Path:
    (tmp_path / "in.tar").write_bytes(content)
    return extract(tmp_path / "in.tar", tmp_path / "out", limits).root


def _tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_text()
        for path in sorted(root.rglob("*"))
    }


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress, lzma.compress, blocks.compress])
def test_each_compression_is_known_by_its_content(tmp_path: Path, squeeze: Callable[[bytes], bytes]) -> None:
    """Plain, gzip, xz and zstd unpack, whatever the file is called."""
    root = _extract(tmp_path, squeeze(_tar(_member("a", tarfile.DIRTYPE), ("a/b.md", b"hello"), _member("c", tarfile.SYMTYPE, link="a/b.md"))))

    assert _tree(root) == {"a": "/", "a/b.md": "hello", "c": "-> a/b.md"}
    assert (root / "a/b.md").stat().st_mtime == 1_000_000


@pytest.mark.parametrize(
    "members",
    [
        [("/abs", b"x")],
        [("../up", b"x")],
        [("a/../../up", b"x")],
        [("a" * 300, b"x")],
        [("/".join(["abcdefgh"] * 40), b"x")],
        [_member("dev", tarfile.CHRTYPE)],
        [_member("pipe", tarfile.FIFOTYPE)],
        [_member("l", tarfile.SYMTYPE, link="/etc/passwd")],
        [_member("l", tarfile.SYMTYPE, link="../x")],
        [_member("a/l", tarfile.SYMTYPE, link="../../x")],
        [_member("l", tarfile.SYMTYPE, link="")],
        # Lexically inside, but the climb goes through another link to somewhere else.
        [_member("a/b", tarfile.DIRTYPE), _member("a/b/l", tarfile.SYMTYPE, link="../.."), _member("a/b/m", tarfile.SYMTYPE, link="l/../x")],
        [_member("l", tarfile.SYMTYPE, link="a"), ("l/x", b"through the link")],
        [_member("l", tarfile.SYMTYPE, link="a"), ("l", b"over the link")],
        [_member("h", tarfile.LNKTYPE, link="/etc/passwd")],
        [_member("h", tarfile.LNKTYPE, link="later"), ("later", b"x")],
        [("twice", b"1"), ("twice", b"2")],
        [("file", b"1"), ("file/below", b"2")],
        [("big", bytes(600_000)), ("bigger", bytes(600_000))],
        [(f"{number}", b"") for number in range(51)],
        [_member(".", tarfile.SYMTYPE, link="x")],
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]]) -> None:
    """Climbing out, devices, links out of the tree, doubles and too much of anything: an error, and no tree."""
    with pytest.raises(ArchiveError, match=r"in\.tar"):
        _extract(tmp_path, _tar(("first", b"x"), *members))

    assert [path.name for path in tmp_path.iterdir()] == ["in.tar"]


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress, lzma.compress, blocks.compress])
def test_a_cut_tar_leaves_nothing(tmp_path: Path, squeeze: Callable[[bytes], bytes]) -> None:
    """A tar cut anywhere that matters is an error, also where tarfile itself would stop without a word."""
    content = _tar(("a", b"x" * 600), ("b", b"y" * 600))
    packed = squeeze(content)
    step = max(1, (len(packed) if len(packed) < len(content) else 3072 + 512) // 40)
    # The padding behind the end mark of a plain tar is not content.
    for length in range(0, min(len(packed), 3 * 1024 + 512 if packed == content else len(packed)), step):
        with pytest.raises(ArchiveError):
            _extract(tmp_path, packed[:length])
        assert not (tmp_path / "out").exists()


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    """Tarfile takes a broken header in the middle for the end of the tar; we don't."""
    content = bytearray(_tar(("a", b"x"), ("b", b"y"), ("c", b"z")))
    content[1024] ^= 0xFF

    with pytest.raises(ArchiveError, match="end mark"):
        _extract(tmp_path, bytes(content))


def test_a_header_bomb_is_refused(tmp_path: Path) -> None:
    """An extended header that claims a gigabyte is refused before it is read."""
    bomb = _member("x", tarfile.XHDTYPE)
    bomb.size = 1 << 30

    with pytest.raises(ArchiveError, match="header"):
        _extract(tmp_path, blocks.compress(bomb.tobuf() + bytes(40 << 20)))


def test_hard_links_become_files_of_their_own(tmp_path: Path) -> None:
    """Writing to one name afterwards does not change the other."""
    root = _extract(tmp_path, _tar(("a", b"x"), _member("b", tarfile.LNKTYPE, link="a")))

    assert _tree(root) == {"a": "x", "b": "x"}
    assert (root / "a").stat().st_nlink == 1


def test_modes_are_tamed(tmp_path: Path) -> None:
    """Set-user-id and write permission for others do not come along; the executable bit does."""
    root = _extract(tmp_path, _tar(_member("run", mode=0o6777), _member("read", mode=0o444)))

    assert oct((root / "run").stat().st_mode)[-4:] == "0755"
    assert oct((root / "read").stat().st_mode)[-4:] == "0644"


def test_a_folder_with_something_in_it_is_not_touched(tmp_path: Path) -> None:
    """Unpacking never mixes with what is there; an empty folder is fine."""
    (tmp_path / "out").mkdir()
    assert _extract(tmp_path, _tar(("a", b"x"))) == tmp_path / "out"

    with pytest.raises(ArchiveError, match="already"):
        _extract(tmp_path, _tar(("b", b"y")))
    assert _tree(tmp_path / "out") == {"a": "x"}


@pytest.mark.parametrize("content", [b"", b"hello", b"\x28\xb5\x2f\xfdjunk", b"\x1f\x8bjunk", b"\xfd7zXZ\0junk"])
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    """Any other file is an error that names it."""
    with pytest.raises(ArchiveError, match=r"in\.tar"):
        _extract(tmp_path, content)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes(tmp_path: Path, data: st.DataObject) -> None:
    """A tar with bytes changed unpacks or is an ArchiveError; nothing else, and nothing outside the destination."""
    content = bytearray(_tar(("a/b", b"x" * 700), _member("l", tarfile.SYMTYPE, link="a/b"), _member("h", tarfile.LNKTYPE, link="a/b")))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, 4 * 512))
        junk = data.draw(st.binary(min_size=1, max_size=12))
        content[start : start + len(junk)] = junk
    if data.draw(st.booleans()):
        # A checksum that fits again, so that what was changed is believed.
        content[148:156] = b" " * 8
        content[148:156] = b"%06o\0 " % sum(content[:512])
    (tmp_path / "in.tar").write_bytes(content)

    try:
        extract(tmp_path / "in.tar", tmp_path / "out", _LIMITS)
    except ArchiveError:
        assert [path.name for path in tmp_path.iterdir()] == ["in.tar"]
    else:
        shutil.rmtree(tmp_path / "out")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A path without a file is an error that names it."""
    with pytest.raises(ArchiveError, match="nothing-there"):
        extract(tmp_path / "nothing-there.tar", tmp_path / "out", _LIMITS)


def test_git_hooks_and_executable_configuration_are_dropped(tmp_path: Path) -> None:
    """Hooks go, samples stay; settings that run programs go, others stay; it is said what went."""
    config = b'[core]\n\tbare = false\n\tfsmonitor = "evil"\n[remote "origin"]\n\turl = https://x/y\n[alias]\n\tst = status\n\tx = !sh\n'
    hooks = [(".git/hooks/pre-commit", b"#!"), (".git/hooks/a.sample", b"#!")]
    tar = _tar((".git/config", config), *hooks, (".git/HEAD", b"ref"), ("config", config))
    (tmp_path / "in.tar").write_bytes(tar)

    found = extract(tmp_path / "in.tar", tmp_path / "out", _LIMITS)

    assert found.dropped == (".git/config: alias.x", ".git/config: core.fsmonitor", ".git/hooks/pre-commit")
    assert _tree(found.root)[".git/config"] == (
        '[core]\n\tbare = false\n\t\n[remote "origin"]\n\turl = https://x/y\n[alias]\n\tst = status\n\t\n'
    )
    assert (found.root / "config").read_bytes() == config
    assert (found.root / ".git/hooks/a.sample").exists()


def test_a_hidden_repository_is_disarmed(tmp_path: Path) -> None:
    """What git would take for a repository is treated as one, whatever it is called; pointers out of the tree go."""
    tar = _tar(
        ("docs/HEAD", b"ref"), ("docs/objects/x", b""), ("docs/refs/x", b""), ("docs/config", b"[core]\nhooksPath = /x\n"),
        ("sub/.git", b"gitdir: /x"),
        ("bad/.GIT/config", b"[core"), _member("lnk/.git/config", tarfile.SYMTYPE, link="../x"),
    )  # fmt: skip
    (tmp_path / "in.tar").write_bytes(tar)

    found = extract(tmp_path / "in.tar", tmp_path / "out", _LIMITS)

    assert [dropped.partition(" (")[0] for dropped in found.dropped] == [
        "bad/.GIT/config",
        "docs/config: core.hookspath",
        "lnk/.git/config",
        "sub/.git",
    ]


@pytest.mark.parametrize(
    ("name", "target", "inside"),
    [
        ("l", "a", True),
        ("l", ".", True),
        ("l", "..", False),
        ("a/l", "..", True),
        ("a/l", "../b/c", True),
        ("a/l", "../../b", False),
        ("a/l", "b/..", False),
        ("./a//l", "../x", True),
        ("l", "/a", False),
        ("l", "a\0b", False),
    ],
)
def test_links_stay_inside(name: str, target: str, *, inside: bool) -> None:
    """A link may climb first, no further than its own depth, and then only descend."""
    assert link_stays_inside(name, target) is inside


def test_names_are_split() -> None:
    """Dots and doubled slashes are nothing; what climbs is no name."""
    assert split_name("./a//b/.", 100) == ("a", "b")
    assert split_name("./", 100) == ()
    assert split_name("a/../b", 100) is None


def _workspace(path: Path) -> Path:
    (path / "memory").mkdir(parents=True)
    (path / "memory" / "a.md").write_text("hello")
    (path / "memory" / "a.md").chmod(0o640)
    (path / "empty").mkdir()
    (path / os.fsdecode(b"\xff\xfe")).write_text("odd name")
    (path / "in").symlink_to("memory/a.md")
    (path / "out").symlink_to("/etc/passwd")
    os.link(path / "memory" / "a.md", path / "hard")
    os.mkfifo(path / "pipe")
    for number, name in enumerate(["memory/a.md", "memory", "empty", "."]):
        os.utime(path / name, ns=(0, 1_700_000_000_123_456_000 + number))
    return path


def test_a_snapshot_comes_back(tmp_path: Path) -> None:
    """Files, folders, times, modes and inner links come back; what can't is said in the record."""
    workspace = _workspace(tmp_path / "workspace")
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        record = writer.add_snapshot(workspace, workspace="/home/x/.agents", event_before=0, event_after=0, left_out=["secrets: secret"])
        writer.seal(event=1, at=1.0, reason="done")

    archive = read(tmp_path / "a.parity")
    root = archive.unpack_snapshot(1, tmp_path / "unpacked")

    assert archive.snapshots() == [record]
    assert (record.files, record.bytes, record.workspace) == (3, 18, "/home/x/.agents")
    assert [said.partition(":")[0] for said in record.left_out] == ["secrets", "out", "pipe"]
    assert {path.name for path in root.iterdir()} == {"memory", "empty", "\udcff\udcfe", "in", "hard"}
    assert (root / "in").read_text() == "hello"
    assert oct((root / "memory/a.md").stat().st_mode)[-3:] == "640"
    assert abs((root / "memory").stat().st_mtime - (workspace / "memory").stat().st_mtime) < 0.001


def test_a_snapshot_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Two snapshots of one folder have one digest, and bear following numbers."""
    workspace = _workspace(tmp_path / "workspace")
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        first, second = [writer.add_snapshot(workspace, workspace="/x", event_before=0, event_after=0, left_out=()) for _ in range(2)]

    assert first.digest == second.digest
    assert (first.file, second.file) == ("snapshot-000001.tar.zst", "snapshot-000002.tar.zst")


def test_a_snapshot_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A number without a snapshot, and a damaged one, are errors."""
    workspace = _workspace(tmp_path / "workspace")
    with ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}) as writer:
        with pytest.raises(ArchiveError, match="no folder"):
            writer.add_snapshot(tmp_path / "nothing", workspace="/x", event_before=0, event_after=0, left_out=())
        writer.add_snapshot(workspace, workspace="/x", event_before=0, event_after=0, left_out=())
        writer.seal(event=1, at=1.0, reason="done")
    archive = read(tmp_path / "a.parity")

    with pytest.raises(ArchiveError, match="no snapshot 2"):
        archive.unpack_snapshot(2, tmp_path / "unpacked")
    (archive.path / "snapshot-000001.tar.zst").write_bytes(b"x")
    with pytest.raises(ArchiveError, match="damaged"):
        archive.unpack_snapshot(1, tmp_path / "unpacked")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """A source that is no file is refused, and never waited for."""
    os.mkfifo(tmp_path / "in.tar")
    with pytest.raises(ArchiveError, match="it is no file"):
        extract(tmp_path / "in.tar", tmp_path / "out", _LIMITS)


def test_a_sparse_giant_is_refused_before_it_is_written(tmp_path: Path) -> None:
    """A member that says it is bigger than the limits is refused by its header: its gigabytes of zeros are never written."""
    giant = _member("giant")
    giant.pax_headers = {"GNU.sparse.size": str(10 << 30), "GNU.sparse.map": f"0,1,{(10 << 30) - 1},1"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        giant.size = 2
        tar.addfile(giant, io.BytesIO(b"ab"))
    with pytest.raises(ArchiveError, match="more than 8589934592 bytes in all"):
        _extract(tmp_path, out.getvalue(), Limits())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["segment-000001.msgpack.zst", "manifest.json"])
def test_an_archive_of_pipes_is_refused(tmp_path: Path, name: str) -> None:
    """A pipe in the place of an archive's file is refused, and never waited for."""
    (tmp_path / "a.parity").mkdir()
    os.mkfifo(tmp_path / "a.parity" / name)
    with pytest.raises(ArchiveError, match="no file"):
        read(tmp_path / "a.parity")
