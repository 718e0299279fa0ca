"""A snapshot of a workspace with secrets everywhere."""

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replay.archive import Keyring, Limits, extract, make_key
from replay.archive.snapshots import open_snapshot
from replay.capture.snapshots.orders import SnapshotOrder
from replay.capture.snapshots.scratch import scratch_folder
from replay.capture.snapshots.taking import take_snapshot
from replay.model import ParityError, UsageError
from replay.redact import is_placeholder
from replay.workspace import CopyLimitError, CopyLimits, read_configuration, secrets, tokens


def files(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Give what is below a folder: mode, time of change and content, but for what SQLite's readers share."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.name.endswith(("-shm", "-wal")):
            status = path.stat()
            found[path.relative_to(root).as_posix()] = (status.st_mode, status.st_mtime_ns, path.read_bytes())
    return found


def test_no_planted_secret_is_in_it(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder, planted_secrets: Mapping[str, str]) -> None:
    """Whatever was planted, in tables, indexes, files, names, git and stores, is nowhere in the decoded bytes; the source stays as it was."""
    before = files(order.workspace)
    auth_secret = (order.workspace / tokens.AUTH_SECRET_FILE).read_bytes()
    taken = take(order)
    lowered = taken.tar.lower()
    signatures = {where: secret.rpartition(".")[2] if secret.startswith("eyJ") else secret for where, secret in planted_secrets.items()}
    assert [where for where, secret in signatures.items() if secret.encode() in taken.tar] == []
    # A full-text index keeps words in lower case, cut at what is neither letter nor digit; the prefix of an API key is public.
    words = {word.lower() for secret in signatures.values() for word in re.findall(r"[A-Za-z0-9]{13,}", secret)}
    assert [word for word in words if word.encode() in lowered] == []
    assert auth_secret not in taken.tar
    assert files(order.workspace) == before
    assert taken.result.replaced.keys() >= {"api-key", "provider-key", "url-password", "secret-value", "auth-secret", "git-history", "password"}


def test_daemon_s_files_work_in_it(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder, planted_secrets: Mapping[str, str]) -> None:
    """Secrets open with the throw-away machine id, names and order kept and equal ones equal; configuration and databases can be read."""
    taken = take(order)
    store = secrets.read(taken.root / secrets.FILE)
    original = secrets.read(order.workspace / secrets.FILE)
    assert list(store.secrets) == list(original.secrets)
    key = secrets.derive_key(taken.result.machine_id)
    session, again = (secrets.reveal(store, name, key) for name in ("BITWARDEN_SESSION", "AGAIN"))
    assert session == again
    assert session is not None
    assert is_placeholder(session.encode())
    assert len(session) == len(planted_secrets["secret of the store"])
    assert session in (taken.root / "USER.md").read_text()
    plain = secrets.leaked_text(store.secrets["RUST"].ciphertext)
    assert plain is not None
    assert is_placeholder(plain.encode())
    assert (taken.root / ".demo-machine-id").read_text() == taken.result.machine_id + "\n"
    assert len(tokens.read_auth_secret(taken.root / tokens.AUTH_SECRET_FILE)) == tokens.AUTH_SECRET_BYTES
    configuration = read_configuration(taken.root)
    assert configuration["embedding"]["base_url"] == "$secret:OPENAI_URL"
    assert configuration["max_tokens"] == 4096
    assert is_placeholder(configuration["embedding"]["api_key"].encode())
    for name in ("memory/memories.db", "memory/memories.db.bak-v1-17"):
        with closing(taken.open_database(name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_all_else_in_the_database_is_as_it_was(
    take: Callable[[SnapshotOrder], Any], order: SnapshotOrder, rows: Callable[[sqlite3.Connection, str], list[Any]]
) -> None:
    """Rows, row ids and cells without secrets are the same, and searches give the same rows."""
    with closing(sqlite3.connect(order.workspace / "memory/memories.db")) as source, closing(take(order).open_database()) as copy:
        assert (
            copy.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
            == source.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        )
        changed = 0
        for (table,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%_fts%'").fetchall():
            for before, after in zip(rows(source, table), rows(copy, table), strict=True):
                differing = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
                changed += len(differing)
                assert all(len(old) == len(new) for old, new in differing)
        assert 4 <= changed <= 10
        for word in ("harbour", "ferries", "quay", "granite"):
            query = "SELECT rowid FROM memories_fts WHERE memories_fts MATCH ?"
            assert copy.execute(query, (word,)).fetchall() == source.execute(query, (word,)).fetchall() != []
        copy.execute("INSERT INTO memories_fts (memories_fts, rank) VALUES ('integrity-check', 1)")
        assert json.loads(copy.execute("SELECT payload FROM memory_jobs WHERE id = 'j1'").fetchone()[0])["tokens"] == 12


def test_what_can_t_be_changed_is_left_out_and_said(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder) -> None:
    """A history and a compressed file with secrets are not there, a clean one is; the repository is one without commits."""
    taken = take(order)
    said = "\n".join(taken.result.left_out)
    assert ".git: the repository's history: it holds secrets" in said
    assert "old.log.gz: compressed, and holds secrets" in said
    assert not (taken.root / "old.log.gz").exists()
    assert (taken.root / "clean.gz").exists()
    assert (taken.root / ".git/HEAD").is_file()
    assert not list((taken.root / ".git/objects").rglob("*.pack"))
    assert "secret" not in {line.partition(": ")[2] for line in taken.result.left_out}


def test_snapshots_of_one_archive_share_stand_ins_and_those_of_two_share_placeholders(
    take: Callable[[SnapshotOrder], Any], order: SnapshotOrder
) -> None:
    """Within an archive two snapshots of the same state are equal; in another one only the machine id and the signing key differ."""
    first = take(order)
    second = take(replace(order, destination=order.destination.with_name("snapshot-000002.tar.zst")))
    other = take(replace(order, destination=order.destination.with_name("snapshot-000003.tar.zst"), archive_id="archive-2"))
    assert {name: entry[2] for name, entry in files(first.root).items()} == {name: entry[2] for name, entry in files(second.root).items()}
    differing = {name for name, entry in files(first.root).items() if files(other.root)[name][2] != entry[2]}
    assert differing == {".daemon/auth-secret", ".demo-machine-id", ".secrets/secrets.enc"}


def test_store_of_another_machine_keeps_its_names(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder) -> None:
    """Where no machine id opens the store it is made again with the same names and lengths, and that is said."""
    (order.workspace / ".demo-machine-id").unlink()
    taken = take(order)
    store = secrets.read(taken.root / secrets.FILE)
    session = secrets.reveal(store, "BITWARDEN_SESSION", secrets.derive_key(taken.result.machine_id))
    assert session is not None
    assert is_placeholder(session.encode())
    assert len(session) == len("bitwarden-session-0042-abc")
    assert any("no machine id opens" in line for line in taken.result.left_out)


def test_store_that_is_none_is_left_out(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder) -> None:
    """A store that can't be read does not come along, and nothing of its content is said."""
    (order.workspace / secrets.FILE).write_text('{"version": 7, "secrets": {"A": "sealed-by-somebody"}}')
    taken = take(order)
    assert not (taken.root / secrets.FILE).exists()
    assert taken.result.machine_id == ""
    assert any(line.startswith(".secrets/secrets.enc: ") for line in taken.result.left_out)


def test_without_redaction_the_daemon_s_secret_files_stay_behind(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder) -> None:
    """What an operator wants as it is comes as it is, but never the store and the signing key."""
    taken = take(replace(order, redaction_key=None))
    assert (taken.root / "agent.yaml").read_bytes() == (order.workspace / "agent.yaml").read_bytes()
    assert not (taken.root / secrets.FILE).exists()
    assert not (taken.root / tokens.AUTH_SECRET_FILE).exists()
    assert taken.result.replaced == {}


def test_orders_that_can_t_be_followed_are_errors(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder, tmp_path: Path) -> None:
    """Limits, a wrong key and a destination that is there are errors with a word on what to do, and leave nothing."""
    with pytest.raises(CopyLimitError, match="bigger than"):
        take(replace(order, limits=CopyLimits(bytes_max=1000)))
    with pytest.raises(UsageError, match="redaction key"):
        take(replace(order, destination=order.destination.with_name("b"), redaction_key=tmp_path / "none"))
    order.destination.write_text("")
    with pytest.raises(ParityError, match="already"):
        take(replace(order, workspace=tmp_path / "none", destination=order.destination, redaction_key=None, scratch=tmp_path / "c"))
    assert [path.name for path in order.destination.parent.iterdir()] == [order.destination.name]


def test_recipients_alone_read_it(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder, tmp_path: Path) -> None:
    """Encrypted, the file shows nothing without a key, and is the same snapshot with it."""
    key = make_key()
    packed = order.destination.with_name("snapshot-000001.tar.zst.enc")
    plain = take(order)
    with scratch_folder(tmp_path) as scratch:
        result = take_snapshot(replace(order, destination=packed, recipients=(key.public,)), scratch)
    with open_snapshot(packed, Keyring.of([key]), order.archive_id) as stream:
        (tmp_path / "opened.tar.zst").write_bytes(stream.read())
    extract(tmp_path / "opened.tar.zst", tmp_path / "opened", Limits())
    assert {name: entry[2] for name, entry in files(tmp_path / "opened").items()} == {
        name: entry[2] for name, entry in files(plain.root).items()
    }
    assert b"harbour" not in packed.read_bytes()
    assert result.file_bytes == packed.stat().st_size


def test_operator_s_own_rules_hold(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder, tmp_path: Path) -> None:
    """What a rule names is replaced in tables and files, in a column of that name too; an exception stays."""
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[redact]]\nwhere = "workspace"\npattern = "harbour_[0-9]{8}"\nkind = "own-id"\n\n[[redact]]\nwhere = "workspace"\nname = "project"\n'
    )
    (order.workspace / "SOUL.md").write_text("I am harbour_12345678.\n")
    taken = take(replace(order, rules=rules))
    assert "12345678" not in (taken.root / "SOUL.md").read_text()
    with closing(taken.open_database()) as connection:
        projects = {project for (project,) in connection.execute("SELECT project FROM memories WHERE project IS NOT NULL")}
    assert projects
    assert all(is_placeholder(project.encode()) for project in projects)


def test_history_without_secrets_stays(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder) -> None:
    """A repository in which no object holds a secret keeps its commits, packed ones too."""
    shutil.rmtree(order.workspace / ".git")
    (order.workspace / "deploy.txt").unlink()
    for name in (".env", "agent.yaml", "marketplace/mcp-servers.json", "USER.md"):
        (order.workspace / name).unlink()
    for command in (
        ["init", "-q"],
        ["add", "AGENTS.md"],
        ["-c", "user.name=D", "-c", "user.email=d@x", "commit", "-q", "-m", "one"],
        ["gc", "-q"],
    ):
        subprocess.run(["git", *command], cwd=order.workspace, check=True, capture_output=True)
    taken = take(order)
    assert not [line for line in taken.result.left_out if ".git" in line]
    log = subprocess.run(["git", "-C", str(taken.root), "-c", "safe.directory=*", "log", "--format=%s"], check=True, capture_output=True)
    assert log.stdout == b"one\n"


def test_artifact_tokens_stay(take: Callable[[SnapshotOrder], Any], order: SnapshotOrder) -> None:
    """The daemon's `session_token` is a part of file names that it makes again, and no credential."""
    (order.workspace / "memory/a--abcdefghij234567--summary.md").write_text("---\nsession_token: abcdefghij234567\n---\n")
    with closing(sqlite3.connect(order.workspace / "memory/memories.db")) as connection:
        connection.executescript("CREATE TABLE memory_artifacts (session_token TEXT); INSERT INTO memory_artifacts VALUES ('abcdefghij234567');")
    taken = take(order)
    assert "abcdefghij234567" in (taken.root / "memory/a--abcdefghij234567--summary.md").read_text()
    with closing(taken.open_database()) as connection:
        assert connection.execute("SELECT session_token FROM memory_artifacts").fetchall() == [("abcdefghij234567",)]


@pytest.mark.samples
def test_real_workspace_comes_through(
    take: Callable[[SnapshotOrder], Any],
    order: SnapshotOrder,
    samples: Path,
    tmp_path: Path,
    rows: Callable[[sqlite3.Connection, str], list[Any]],
) -> None:
    """The real daemon's workspace, vectors and indexes included, is the same in its snapshot, without the vector extension."""
    extract(samples / "workspace.tar.xz", tmp_path / "real", Limits())
    workspace = tmp_path / "real/ws-js"
    with closing(sqlite3.connect(workspace / "memory/memories.db")) as source:
        secret = "sig_sk_0123456789ab_" + "Xy7" * 14 + "Q"
        source.execute("UPDATE memories SET content = content || ? WHERE rowid = 1", (f" {secret}",))
        source.commit()
        taken = take(replace(order, workspace=workspace))
        assert secret.encode() not in taken.tar
        with closing(taken.open_database()) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2"
            assert copy.execute(schema).fetchall() == source.execute(schema).fetchall()
            tables = [name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE rootpage > 0 AND type = 'table'")]
            differing = {name for name in tables if "_fts_" not in name and rows(source, name) != rows(copy, name)}
            assert differing == {"memories"}
            for word in ("ferry", "harbour", "the", "memory", "fact"):
                for index in ("memories_fts", "memory_hints_fts", "entities_fts"):
                    query = f"SELECT rowid FROM {index} WHERE {index} MATCH ? ORDER BY rowid"  # noqa: S608 (our own names)
                    assert copy.execute(query, (word,)).fetchall() == source.execute(query, (word,)).fetchall()
    assert read_configuration(taken.root) == read_configuration(workspace)
    log = ["git", "-c", "safe.directory=*", "log", "--format=%H"]
    assert subprocess.check_output(log, cwd=taken.root) == subprocess.check_output(log, cwd=workspace)
