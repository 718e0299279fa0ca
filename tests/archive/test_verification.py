from collections.abc import Callable
from pathlib import Path

import pytest

from replay.archive import ArchiveWriter, verify
from replay.archive.numbering import EventNumbers
from replay.model import (
    ArchiveError,
    Attachment,
    Connection,
    DaemonRecord,
    Ended,
    EndReason,
    Gap,
    GapReason,
    NoResponse,
    Opened,
    ProviderCall,
    Record,
    Redaction,
    Request,
    WorkspaceChange,
)

type Write = Callable[..., Path]
type Exchange = Callable[..., list[Record]]

_REQUEST = Request(b"GET", b"/", b"HTTP/1.1", ())


def test_a_sealed_archive_has_no_problems(write: Write) -> None:
    """Matching digests, whole counts and numbers without holes: nothing to say."""
    found = verify(write("a.parity", 10, seal=True))

    assert found.good
    assert found.sealed
    assert (found.exchanges, found.open_exchanges, found.gaps, found.redactions) == (10, 0, {}, {})
    assert found.counts == {"opened": 10, "exchange": 10, "end": 1, "chunks": 0, "blocks": 3, "events": 31}


def test_an_unsealed_archive_says_what_is_there(write: Write) -> None:
    """An unsealed archive is a problem, with its whole exchanges counted."""
    found = verify(write("a.parity", 10, seal=False))

    assert not found.sealed
    assert found.exchanges == 10
    assert any("not sealed" in problem for problem in found.problems)


@pytest.mark.parametrize("name", ["manifest.json", "segment-000001.msgpack.zst", "snapshot-000001.tar.zst"])
def test_every_changed_file_is_a_problem(tmp_path: Path, exchange: Exchange, name: str) -> None:
    """One byte changed in any file of a sealed archive is found, and what is whole still counted."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "a.md").write_text("hello")
    path = tmp_path / "a.parity"
    with ArchiveWriter.create(path, kind="recording", facts={}) as writer:
        writer.add_snapshot(tmp_path / "workspace", workspace="/x", event_before=1, event_after=2, left_out=())
        for record in exchange(1, 3):
            writer.append(record)
        writer.seal(event=6, at=1.0, reason="done")
    assert verify(path).problems == ()
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(bytes(content))

    assert verify(path).problems


def test_a_hole_in_the_event_numbers_is_a_problem(tmp_path: Path, exchange: Exchange) -> None:
    """A number that nothing accounts for is named; a gap that accounts for it mends it."""
    for name, gaps, problems in (("a", [], ["event numbers 4 to 6 are missing"]), ("b", [Gap(GapReason.NOT_WRITTEN, event=4, count=3)], [])):
        with ArchiveWriter.create(tmp_path / name, kind="recording", facts={}) as writer:
            for record in (*exchange(1, 1), *gaps, *exchange(2, 7)):
                writer.append(record)
            writer.seal(event=10, at=1.0, reason="done")

        assert [problem.partition(": ")[2] for problem in verify(tmp_path / name).problems] == problems


def test_an_observed_archive_may_have_holes(tmp_path: Path, exchange: Exchange) -> None:
    """A replay numbers its own events as it likes."""
    with ArchiveWriter.create(tmp_path / "a", kind="observed", facts={}) as writer:
        for record in exchange(7, 100):
            writer.append(record)
        writer.seal(event=1, at=1.0, reason="done")

    assert verify(tmp_path / "a").good


def test_an_open_exchange_without_a_gap_is_a_problem(tmp_path: Path) -> None:
    """Every opened exchange is finished or listed."""
    cases: tuple[tuple[str, list[Gap]], ...] = (("a", []), ("b", [Gap(GapReason.NOT_WRITTEN, exchange=1, event=2)]))
    for name, gaps in cases:
        records: list[Record] = [Opened(1, 1, 1.0, Connection("c"), _REQUEST), *gaps]
        with ArchiveWriter.create(tmp_path / name, kind="recording", facts={}) as writer:
            for record in records:
                writer.append(record)
            writer.seal(event=3 if gaps else 2, at=1.0, reason="done")

        found = verify(tmp_path / name)
        assert found.open_exchanges == 1
        assert found.good == bool(gaps)
        assert found.gaps == ({"not written": 1} if gaps else {})


def test_leftover_secrets_are_named_by_place_and_kind(tmp_path: Path) -> None:
    """A key in a target is found; its value is nowhere in what verify says, and the archive is whole all the same."""
    secret = b"sk-ant-abcdefghijklmnopqrstuvwxyz0123456789"
    request = Request(b"GET", b"/x?key=" + secret, b"HTTP/1.1", ((b"Authorization", b"Bearer " + secret),))
    with ArchiveWriter.create(tmp_path / "a", kind="recording", facts={}) as writer:
        writer.append(Opened(1, 1, 1.0, Connection("c"), request, redactions=(Redaction("request.body", 0, 3, "password"),)))
        writer.append(Gap(GapReason.SKIPPED, exchange=1))
        writer.seal(event=2, at=1.0, reason="done")

    found = verify(tmp_path / "a")

    assert {(suspect.exchange, suspect.where) for suspect in found.suspects} == {(1, "request.target"), (1, "request.header:0")}
    assert secret.decode()[10:] not in repr(found)
    assert found.good
    assert found.redactions == {"password": 1}


def test_secrets_are_looked_for_beside_the_traffic_too(tmp_path: Path) -> None:
    """What an import keeps opaque, a daemon's log, files and the manifest's own facts are looked through."""
    leaked = "sk-ant-abcdefghijklmnopqrstuvwxyz0123456789"
    ended = Ended(1, 2, 1.0, EndReason.COMPLETE, NoResponse("x"), b"", opaque=leaked.encode())
    records: list[Record] = [
        Opened(1, 1, 1.0, Connection("c"), _REQUEST),
        ended,
        DaemonRecord(1.0, "died", log_tail=f"key {leaked}"),
        WorkspaceChange(3, 1.0, "a", None, leaked.encode()),
        Attachment(4, 1, "p", "d", leaked.encode()),
        ProviderCall(5, 1.0, "s", leaked.encode(), leaked.encode(), "m"),
    ]
    with ArchiveWriter.create(tmp_path / "a", kind="recording", facts={"upstream": leaked}) as writer:
        for record in records:
            writer.append(record)
        writer.seal(event=6, at=1.0, reason="done")

    assert [(suspect.exchange, suspect.where) for suspect in verify(tmp_path / "a").suspects] == [
        (None, "manifest.facts"),
        (1, "opaque"),
        (None, "daemon.log"),
        (None, "workspace"),
        (1, "attachment"),
        (None, "provider.request"),
        (None, "provider.response"),
    ]


def test_verify_raises_where_there_is_no_archive(tmp_path: Path) -> None:
    """Nothing to verify is the caller's error."""
    with pytest.raises(ArchiveError):
        verify(tmp_path)


def test_event_numbers_come_in_any_order() -> None:
    """Runs may overlap and come early; only what is never seen is a hole, however far the numbers run."""
    numbers = EventNumbers()
    for first, last in ((3, 3), (1, 1), (-5, 0), (7, 10**18), (8, 9), (5, 5), (5, 5)):
        numbers.add(first, last)

    assert numbers.holes() == [(2, 2), (4, 4), (6, 6)]
    numbers.add(2, 6)
    assert numbers.holes() == []
    assert numbers.last == 10**18
