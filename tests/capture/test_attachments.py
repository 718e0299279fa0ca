"""Files that requests name."""

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.capture.attachments import (
    HOME,
    NAMED_BY_ROUTE,
    NOT_THERE,
    OUTSIDE,
    RELATIVE,
    TOO_MANY,
    AttachmentLimits,
    Found,
    named_files,
    read_attachments,
)
from replay.routes import by_name

JSON = b"application/json"


def ask(route: str, body: object) -> tuple[str, ...]:
    """Give what a JSON request names."""
    method, target = route.split(" ")
    return named_files(method, target, json.dumps(body).encode(), JSON)


@pytest.mark.parametrize(
    ("route", "body", "named"),
    [
        ("POST /api/hooks/session-end", {"transcriptPath": "/logs/t.jsonl"}, ("/logs/t.jsonl",)),
        ("POST /api/hooks/session-end?x=1", {"transcriptPath": "/logs/t.jsonl"}, ("/logs/t.jsonl",)),
        ("POST /api/hooks/session-end", {"transcript_path": "/logs/t"}, ()),
        ("POST /api/hooks/user-prompt-submit", {"transcriptPath": "/logs/t"}, ("/logs/t",)),
        ("POST /api/hooks/session-checkpoint-extract", {"transcriptPath": "/logs/t"}, ("/logs/t",)),
        ("POST /api/hooks/pre-compaction", {"transcript_path": "/logs/t"}, ("/logs/t",)),
        ("POST /api/hooks/pre-compaction", {"transcriptPath": "/a", "transcript_path": "/b"}, ("/a",)),
        ("POST /api/hooks/session-start", {"transcriptPath": "/logs/t", "project": "/p"}, ()),
        ("POST /api/sources/obsidian", {"path": "/vault"}, ("/vault",)),
        ("POST /api/sources/obsidian", {"root": None, "path": "/vault"}, ("/vault",)),
        ("POST /api/sources/obsidian", {"root": 5, "path": "/vault"}, ()),
        ("POST /api/sources/discord", {"desktopCachePath": "/c", "syncMode": "desktop-cache"}, ("/c",)),
        ("POST /api/sources/discord", {"desktopCachePath": "/c", "syncMode": "rest"}, ()),
        ("POST /api/connectors", {"provider": "filesystem", "settings": {"rootPath": "/docs"}}, ("/docs",)),
        ("POST /api/connectors", {"provider": "gdrive", "settings": {"rootPath": "/docs"}}, ()),
        ("POST /api/connectors", {"provider": "filesystem", "settings": "/docs"}, ()),
        ("POST /api/graphiq/index", {"path": "/code"}, ("/code",)),
        ("POST /api/memory/remember", {"content": "x", "sourcePath": "/etc/passwd"}, ()),
        ("POST /api/documents", {"source_type": "file", "url": "file:///etc/passwd"}, ()),
        ("POST /api/tasks", {"workingDirectory": "/work"}, ()),
        ("POST /api/hooks/session-end", [{"transcriptPath": "/logs/t"}], ()),
        ("POST /api/hooks/session-end", {"transcriptPath": ""}, ()),
        ("POST /api/hooks/session-end", {"transcriptPath": ["/logs/t"]}, ()),
    ],
)
def test_fields_that_the_daemon_opens_are_named(route: str, body: object, named: tuple[str, ...]) -> None:
    """By route, the paths that the daemon opens are found, and no other text that looks like one."""
    assert ask(route, body) == named


def test_the_table_names_known_routes() -> None:
    """Each route of the table is one of the daemon's."""
    assert set(NAMED_BY_ROUTE) <= set(by_name())


@given(st.binary(max_size=60), st.sampled_from(sorted(NAMED_BY_ROUTE)))
def test_any_body_names_nothing_or_texts(body: bytes, route: str) -> None:
    """No body makes the search fail."""
    method, target = route.split(" ")
    assert all(isinstance(path, str) for path in named_files(method, target, body, JSON))


def test_a_file_in_an_allowed_root_is_read(tmp_path: Path) -> None:
    """A regular file below an allowed folder comes with content and digest."""
    (tmp_path / "t.jsonl").write_bytes(b"line\n")
    path = str(tmp_path / "t.jsonl")
    assert read_attachments(path, [tmp_path]) == (Found(path, hashlib.sha256(b"line\n").hexdigest(), b"line\n"),)


def test_what_lies_elsewhere_is_not_read(tmp_path: Path) -> None:
    """Outside the allowed folders nothing is read, however the path is spelt."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (tmp_path / "allowed-too").mkdir()
    for name in ("secret", "allowed-too/secret"):
        (tmp_path / name).write_text("secret")
    (allowed / "link").symlink_to(tmp_path / "secret")
    (allowed / "folder").symlink_to(tmp_path)
    for path in ("secret", "allowed/../secret", "allowed/link", "allowed/folder/secret", "allowed-too/secret", "allowed/../none"):
        assert read_attachments(f"{tmp_path}/{path}", [allowed]) == (Found(f"{tmp_path}/{path}", None, None, OUTSIDE),)
    assert read_attachments("/etc/passwd", []) == (Found("/etc/passwd", None, None, OUTSIDE),)


def test_a_link_within_the_roots_is_read(tmp_path: Path) -> None:
    """A link that stays inside the allowed folders names what it leads to, as it does for the daemon; also where the root is a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/t").write_text("text")
    (tmp_path / "real/link").symlink_to("t")
    (tmp_path / "root").symlink_to("real")
    assert read_attachments(f"{tmp_path}/root/link", [tmp_path / "root"])[0].content == b"text"


def test_pipes_and_rings_are_not_opened(tmp_path: Path) -> None:
    """A pipe without a writer does not hold us up, and a ring of links ends."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "ring").symlink_to("ring")
    assert "pipe" in read_attachments(f"{tmp_path}/pipe", [tmp_path])[0].note
    (found,) = read_attachments(f"{tmp_path}/ring", [tmp_path])
    assert (found.content, found.digest) == (None, None)
    assert found.note
    assert "device" in read_attachments("/dev/zero", [Path("/dev")])[0].note


def test_big_files_are_given_by_their_digest(tmp_path: Path) -> None:
    """Beyond the bound there is a digest and a note."""
    (tmp_path / "big").write_bytes(b"x" * 1001)
    (found,) = read_attachments(f"{tmp_path}/big", [tmp_path], AttachmentLimits(content_bytes_max=1000))
    assert found == Found(f"{tmp_path}/big", hashlib.sha256(b"x" * 1001).hexdigest(), None, "too big: 1001 bytes")


@pytest.mark.parametrize(
    ("path", "note"),
    [
        ("none", RELATIVE),
        ("memory/note.md", ""),
        ("../outside", OUTSIDE),
        ("~/t.jsonl", HOME),
        ("~", HOME),
        ("/proc/none/such", OUTSIDE),
        ("x\0y", "no path"),
        ("/" + "x" * 5000, "no path"),
    ],
)
def test_relative_and_odd_paths(tmp_path: Path, path: str, note: str) -> None:
    """A relative path counts below the workspace alone; what can't be resolved is said."""
    workspace = tmp_path / "agents"
    (workspace / "memory").mkdir(parents=True)
    (workspace / "memory/note.md").write_text("note")
    (tmp_path / "outside").write_text("secret")
    (found,) = read_attachments(path, [workspace], workspace=workspace)
    assert (found.path, found.note, found.content) == (path, note, None if note else b"note")


def test_missing_files_are_said(tmp_path: Path) -> None:
    """A file that is not there, or lies behind a file, or is named in no encoding of this system."""
    (tmp_path / "file").write_text("x")
    for name in ("none", "file/below", "long" * 100):
        (found,) = read_attachments(f"{tmp_path}/{name}", [tmp_path])
        assert found.content is None
        assert found.note
    assert read_attachments(f"{tmp_path}/none", [tmp_path])[0].note == NOT_THERE
    assert read_attachments(f"{tmp_path}/\ud800", [tmp_path])[0].note.startswith("not readable")


def test_a_folder_is_listed_and_read(tmp_path: Path) -> None:
    """A named folder gives its list first, then each file; repositories, links and pipes in it stay out."""
    vault = tmp_path / "vault"
    for folder in ("sub", ".git"):
        (vault / folder).mkdir(parents=True)
    (vault / "a.md").write_text("a")
    (vault / "sub/b.md").write_text("b")
    (vault / os.fsdecode(b"odd\xff.md")).write_text("odd")
    (vault / ".git/config").write_text("secret")
    (vault / "link.md").symlink_to("/etc/passwd")
    os.mkfifo(vault / "pipe.md")
    listing, *files = read_attachments(str(vault), [tmp_path])
    assert listing.note == "a folder with 3 files"
    assert json.loads(listing.content or b"") == ["a.md", os.fsdecode(b"odd\xff.md"), "sub/b.md"]
    assert [(found.path, found.content) for found in files] == [
        (f"{vault}/a.md", b"a"),
        (f"{vault}/{os.fsdecode(b'odd\xff.md')}", b"odd"),
        (f"{vault}/sub/b.md", b"b"),
    ]
    assert read_attachments(f"{vault}/", [vault])[1:] == tuple(files)


def test_a_folder_is_read_within_bounds(tmp_path: Path) -> None:
    """Of a big folder so many files and bytes are read as the bounds allow, and the note says so."""
    for number in range(30):
        (tmp_path / f"{number:02}.md").write_bytes(b"x" * 100)
    listing, *files = read_attachments(str(tmp_path), [tmp_path], AttachmentLimits(files_max=10, folder_bytes_max=350, listed_max=20))
    assert TOO_MANY in listing.note
    assert "20 or more" in listing.note
    assert [found.content is not None for found in files] == [True] * 3 + [False] * 7
    assert all(found.digest for found in files)


def test_a_file_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    """While somebody exchanges a folder for a link out of the root, over and over, nothing outside is ever read."""
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    (allowed / "real").mkdir(parents=True)
    outside.mkdir()
    (outside / "t").write_text("secret")
    (allowed / "real/t").write_text("plain")
    (allowed / "link").symlink_to(outside)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (allowed / "real").rename(allowed / "aside")
            (allowed / "link").rename(allowed / "real")
            (allowed / "real").rename(allowed / "link")
            (allowed / "aside").rename(allowed / "real")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen = {read_attachments(f"{allowed}/real/t", [allowed])[0].content for _ in range(2000)}
    finally:
        done.set()
        thread.join()
    assert b"secret" not in seen
