"""Encrypted archives: who can read them, and that nothing in them can be changed, moved or left out unseen."""

import errno
import io
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replay.archive import ArchiveWriter, Key, Keyring, LockedError, load_key, make_key, pack_snapshot, read, save_key, verify
from replay.archive.encryption import KeyHeader, SealedKey, new_cipher, open_cipher, read_header
from replay.archive.rotating import change_recipients, recipients_of
from replay.archive.snapshots import PIECE_BYTES
from replay.model import ArchiveError, Record, Response

type Exchange = Callable[..., list[Record]]

_ENC = ".msgpack.zst.enc"
_SECRET = b"nobody-reads-this"


@pytest.fixture(scope="module")
def alice() -> Key:
    """Give the key that archives are made for."""
    return make_key("alice")


@pytest.fixture(scope="module")
def bob() -> Key:
    """Give another key."""
    return make_key("bob")


def _write(path: Path, exchange: Exchange, recipients: list[bytes], workspace: Path | None = None, *, seal: bool = True) -> Path:
    """Write three segments with two exchanges each, one with a big body, and a snapshot."""
    big = os.urandom(300_000)
    with ArchiveWriter.create(path, kind="recording", facts={"a": 1}, started_at=1.0, recipients=recipients, clock=lambda: 0.0) as writer:
        first = 1
        if workspace is not None:
            writer.add_snapshot(workspace, workspace="/x", event_before=1, event_after=2, left_out=())
            first = 3
        for number in range(1, 7):
            for record in exchange(number, first + 3 * number - 3, big if number == 3 else _SECRET):
                writer.append(record)
            if number in {2, 4}:
                writer.rotate()
        if seal:
            writer.seal(event=first + 18, at=9.0, reason="test")
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, exchange: Exchange, alice: Key) -> Path:
    """Give a sealed archive for alice, with a snapshot; tests copy it."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "workspace").mkdir()
    (folder / "workspace" / "a.md").write_bytes(_SECRET + os.urandom(PIECE_BYTES * 2))
    return _write(folder / "a.parity", exchange, [alice.public], folder / "workspace")


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    """Give a copy to change."""
    return Path(shutil.copytree(written, tmp_path / "a.parity"))


def test_who_has_the_key_reads_it_all(written: Path, alice: Key, tmp_path: Path) -> None:
    """With the key everything comes back as from any archive, the snapshot too, and nothing is wrong with it."""
    keys = Keyring.of([alice])
    archive = read(written, keys=keys)

    assert [found.id for found in archive.exchanges()] == list(range(1, 7))
    outcome = archive.exchanges()[2].outcome
    assert isinstance(outcome, Response)
    assert len(outcome.body or b"") == 300_000
    assert (archive.unpack_snapshot(1, tmp_path / "out") / "a.md").read_bytes().startswith(_SECRET)
    assert verify(written, keys=keys).problems == ()
    assert archive.manifest["recipients"] == (alice.id,)


def test_nothing_is_in_clear(written: Path) -> None:
    """Every file but the manifest bears the suffix, only its owner may read it, and no word of the traffic is in any."""
    names = sorted(file.name for file in written.iterdir())

    assert names == ["manifest.json", *(f"segment-00000{n}{_ENC}" for n in (1, 2, 3)), "snapshot-000001.tar.zst.enc"]
    for file in written.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert all(word not in file.read_bytes() for word in (_SECRET, b"hello", b"HTTP/1.1", b"\x28\xb5\x2f\xfd"))


@pytest.mark.parametrize("salvage", [True, False])
def test_without_the_key_it_is_an_error_that_names_it(written: Path, alice: Key, bob: Key, *, salvage: bool) -> None:
    """No key, and another's key: an error that says which key opens it, and nothing else."""
    for keys in (None, Keyring.of([bob]), Keyring.of([Key(alice.public)])):
        with pytest.raises(LockedError, match=alice.id):
            read(written, salvage=salvage, keys=keys)
        with pytest.raises(LockedError, match=alice.id):
            verify(written, keys=keys)


def test_a_key_that_only_bears_the_name(written: Path, alice: Key, bob: Key) -> None:
    """A private key under another's id opens nothing."""
    forged = Keyring({alice.id: bob})

    with pytest.raises(ArchiveError):
        read(written, keys=forged)


def test_each_recipient_reads_it(tmp_path: Path, exchange: Exchange, alice: Key, bob: Key) -> None:
    """An archive for two is read by either."""
    path = _write(tmp_path / "a.parity", exchange, [alice.public, bob.public])

    for key in (alice, bob):
        assert len(read(path, keys=Keyring.of([key])).exchanges()) == 6


def test_an_unsealed_one_is_salvaged_with_the_key(tmp_path: Path, exchange: Exchange, alice: Key) -> None:
    """Whole blocks come out of an unsealed archive, with and without its manifest; without the key the error names it."""
    path = _write(tmp_path / "a.parity", exchange, [alice.public], seal=False)
    keys = Keyring.of([alice])
    for _ in range(2):
        with pytest.raises(ArchiveError, match="6 exchanges whole"):
            read(path, keys=keys)
        assert len(read(path, salvage=True, keys=keys).exchanges()) == 6
        with pytest.raises(LockedError, match=alice.id):
            read(path, salvage=True)
        (path / "manifest.json").unlink(missing_ok=True)


def test_cut_anywhere_it_is_noticed(tmp_path: Path, exchange: Exchange, alice: Key) -> None:
    """An encrypted segment cut at any byte: an error, never a shorter archive; with salvage a prefix of the records."""
    path, keys = tmp_path / "a.parity", Keyring.of([alice])
    with ArchiveWriter.create(path, kind="recording", facts={}, recipients=[alice.public], clock=lambda: 0.0) as writer:
        for number in (1, 2):
            for record in exchange(number, 3 * number - 2):
                writer.append(record)
            writer.flush()
        writer.seal(event=7, at=1.0, reason="done")
    everything = list(read(path, keys=keys).records())
    file = path / f"segment-000001{_ENC}"
    whole = file.read_bytes()
    lengths = set()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        if length % 8 == 0:
            with pytest.raises(ArchiveError):
                read(path, keys=keys)
        archive = read(path, salvage=True, keys=keys)
        records = list(archive.records())
        assert archive.salvaged
        assert records == everything[: len(records)]
        lengths.add(len(records))
    assert lengths == {0, 2, 4, 5}


@pytest.mark.parametrize("manifest", [True, False])
def test_blocks_that_changed_places_are_noticed(copy: Path, alice: Key, *, manifest: bool) -> None:
    """Two blocks of a segment exchanged, and one left out: what is behind them is not believed."""
    keys = Keyring.of([alice])
    archive = read(copy, keys=keys)
    blocks = archive.blocks(archive.segments[0])
    file = copy / archive.segments[0].file
    content = file.read_bytes()
    base = content.index(b"\x5d\x2a\x4d\x18")
    first, second = blocks[-2], blocks[-1]
    parts = [content[base + block.offset : base + block.offset + block.length] for block in (first, second)]
    if not manifest:
        (copy / "manifest.json").unlink()
    for changed in (parts[1] + parts[0], parts[1], parts[0]):
        end = content[base + second.offset + second.length :]
        file.write_bytes(content[: base + first.offset] + changed + end)

        with pytest.raises(ArchiveError):
            read(copy, keys=keys).exchanges()
        found = [exchange.id for exchange in read(copy, salvage=True, keys=keys).exchanges()]
        assert set(found) <= {3, 4, 5, 6} | ({1, 2} if changed == parts[0] else set())


def test_segments_of_elsewhere_are_noticed(copy: Path, tmp_path: Path, exchange: Exchange, alice: Key) -> None:
    """A segment under another's name, one of another archive for the same reader, and one under another's header do not pass."""
    keys = Keyring.of([alice])
    other = _write(tmp_path / "b.parity", exchange, [alice.public])
    file = copy / f"segment-000002{_ENC}"
    whole, foreign, first = file.read_bytes(), (other / file.name).read_bytes(), (copy / f"segment-000001{_ENC}").read_bytes()
    mark = b"\x5d\x2a\x4d\x18"
    for content in (foreign, first, first[: first.index(mark)] + whole[whole.index(mark) :]):
        file.write_bytes(content)

        with pytest.raises(ArchiveError):
            read(copy, keys=keys).exchanges()
        assert {found.id for found in read(copy, salvage=True, keys=keys).exchanges()} <= {1, 2, 5, 6}
        assert not verify(copy, keys=keys).good


def test_a_snapshot_of_elsewhere_is_noticed(copy: Path, alice: Key, tmp_path: Path) -> None:
    """A snapshot that was cut between pieces, changed, or comes from another archive does not unpack."""
    keys = Keyring.of([alice])
    place = copy / "snapshot-000001.tar.zst.enc"
    whole = place.read_bytes()
    (tmp_path / "workspace").mkdir()
    pack_snapshot(tmp_path / "workspace", tmp_path / place.name, recipients=[alice.public], archive_id="0" * 32)
    mark = whole.index(b"\x5d\x2a\x4d\x18")
    piece = 8 + int.from_bytes(whole[mark + 4 : mark + 8], "little")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for content in (whole[: mark + piece], (tmp_path / place.name).read_bytes(), bytes(flipped), whole[:mark] + whole[mark + piece :], b""):
        place.write_bytes(content)

        with pytest.raises(ArchiveError):
            read(copy, keys=keys, salvage=True).unpack_snapshot(1, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        assert not verify(copy, keys=keys).good


def test_a_snapshot_is_proved_whole_by_itself(tmp_path: Path, alice: Key) -> None:
    """Also where nobody knows its digest, a snapshot without its last pieces does not unpack."""
    from replay.archive import Limits, extract
    from replay.archive.snapshots import open_snapshot

    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "a").write_bytes(os.urandom(3 * PIECE_BYTES))
    place = tmp_path / "snapshot-000001.tar.zst.enc"
    pack_snapshot(tmp_path / "workspace", place, recipients=[alice.public], archive_id="0" * 32)
    whole = place.read_bytes()
    mark = whole.index(b"\x5d\x2a\x4d\x18")
    pieces = 0
    while mark < len(whole):
        place.write_bytes(whole[:mark])
        with pytest.raises(ArchiveError, match="piece"):
            extract(place, tmp_path / "out", Limits(), lambda path: open_snapshot(path, Keyring.of([alice]), "0" * 32))
        mark += 8 + int.from_bytes(whole[mark + 4 : mark + 8], "little")
        pieces += 1
    assert pieces == 4


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_in_any_encrypted_file(tmp_path: Path, written: Path, alice: Key, data: st.DataObject) -> None:
    """Bytes changed anywhere: the whole truth or an ArchiveError; a salvage gives some of the records, in order."""
    keys, path = Keyring.of([alice]), tmp_path / "b.parity"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(written, path)
    everything = list(read(path, keys=keys).records())
    file = path / data.draw(st.sampled_from(sorted(entry.name for entry in path.iterdir() if "snapshot" not in entry.name)))
    content = bytearray(file.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    content[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(min_size=1, max_size=20))
    file.write_bytes(bytes(content))

    for salvage in (False, True):
        try:
            found = list(read(path, keys=keys, salvage=salvage).records())
        except ArchiveError as error:
            assert str(path) in str(error)  # noqa: PT017 - either outcome is right
            continue
        rest = iter(everything)
        assert found == everything or (salvage and all(record in rest for record in found))


def test_the_writer_needs_public_keys_only(tmp_path: Path, exchange: Exchange, alice: Key) -> None:
    """What a writer holds does not open what it wrote."""
    path = _write(tmp_path / "a.parity", exchange, [alice.public])

    with pytest.raises(LockedError):
        read(path, keys=Keyring.of([Key(alice.public)]))


@pytest.mark.parametrize("public", [b"", b"x" * 31, bytes(32)])
def test_what_is_no_public_key_is_refused(tmp_path: Path, public: bytes) -> None:
    """A recipient that is no key is refused before anything is written for it."""
    with pytest.raises(ArchiveError, match="public key"):
        ArchiveWriter.create(tmp_path / "a.parity", kind="recording", facts={}, recipients=[public])


def test_every_block_has_a_nonce_of_its_own(alice: Key) -> None:
    """The same block sealed twice looks different, and both open."""
    cipher = new_cipher([alice.public], "a", "segment", 1)
    first, second = cipher.seal(0, "head", b"x", last=False), cipher.seal(0, "head", b"x", last=False)

    assert first != second
    again = open_cipher(cipher.header, Keyring.of([alice]))
    assert [again.open(0, stored).data for stored in (first, second)] == [b"x", b"x"]
    for number, stored in ((1, first), (0, first[:-1]), (0, first + b"x"), (0, b"")):
        with pytest.raises(ArchiveError):
            again.open(number, stored)


# --- changing who may read ---


def test_recipients_can_be_changed(copy: Path, alice: Key, bob: Key, tmp_path: Path) -> None:
    """Bob is added, then alice dropped: each can read it as long as he is one of them, and its digest stays."""
    digest = read(copy, keys=Keyring.of([alice])).digest
    for add, drop, readers, others in (([bob.public], [], [alice, bob], []), ([], [alice.id], [bob], [alice])):
        change_recipients(copy, Keyring.of([readers[0]]), add=add, drop=drop)

        assert set(recipients_of(copy)) == {key.id for key in readers}
        for key in readers:
            assert verify(copy, keys=Keyring.of([key])).problems == ()
            assert read(copy, keys=Keyring.of([key])).digest == digest
            unpacked = read(copy, keys=Keyring.of([key])).unpack_snapshot(1, tmp_path / f"{key.comment}{len(readers)}")
            assert (unpacked / "a.md").read_bytes().startswith(_SECRET)
        for key in others:
            with pytest.raises(LockedError, match=bob.id):
                read(copy, keys=Keyring.of([key]))


def test_a_change_that_locks_everybody_out_is_refused(copy: Path, alice: Key, bob: Key) -> None:
    """The last recipient stays; an id that is none of them, and a key that opens nothing, are errors, and nothing is changed."""
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    for keys, drop in ((Keyring.of([alice]), [alice.id]), (Keyring.of([alice]), [bob.id]), (Keyring.of([bob]), []), (Keyring(), [])):
        with pytest.raises(ArchiveError):
            change_recipients(copy, keys, add=[bob.public] if not drop else [], drop=drop)
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == before


def test_only_sealed_encrypted_archives_change_recipients(tmp_path: Path, exchange: Exchange, alice: Key, bob: Key) -> None:
    """One in clear, and one that is still written, are refused."""
    clear = _write(tmp_path / "a.parity", exchange, [])
    unsealed = _write(tmp_path / "b.parity", exchange, [alice.public], seal=False)
    for path, message in ((clear, "not encrypted"), (unsealed, "not sealed")):
        with pytest.raises(ArchiveError, match=message):
            change_recipients(path, Keyring.of([alice]), add=[bob.public], drop=[])


# --- key files ---


def test_key_files(tmp_path: Path, alice: Key) -> None:
    """A private key file is readable by its owner alone and is never written over; both halves come back."""
    save_key(alice, tmp_path / "a.key", private=True)
    save_key(alice, tmp_path / "a.pub", private=False)

    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert load_key(tmp_path / "a.key") == alice
    assert load_key(tmp_path / "a.pub") == Key(alice.public, None, "alice")
    with pytest.raises(ArchiveError, match="never written over"):
        save_key(alice, tmp_path / "a.key", private=True)
    assert alice.private is not None
    assert alice.private.hex() not in (tmp_path / "a.pub").read_text() + repr(alice)


def test_keyrings(tmp_path: Path, alice: Key, bob: Key) -> None:
    """A folder gives all its private keys; one file gives one; a public key, and a folder without any, are errors."""
    save_key(alice, tmp_path / "a.key", private=True)
    save_key(bob, tmp_path / "b.key", private=True)
    save_key(bob, tmp_path / "b.pub", private=False)
    (tmp_path / "notes.txt").write_bytes(b"\xff")
    (tmp_path / "empty").mkdir()

    assert set(Keyring.load(tmp_path).keys) == {alice.id, bob.id}
    assert set(Keyring.load(tmp_path / "a.key").keys) == {alice.id}
    assert alice.private is not None
    assert alice.private.hex() not in repr(Keyring.load(tmp_path))
    for path, message in ((tmp_path / "b.pub", "public"), (tmp_path / "empty", "no private"), (tmp_path / "x", "can't be read")):
        with pytest.raises(ArchiveError, match=message):
            Keyring.load(path)


@pytest.mark.parametrize("place", [0, 15, 30, 90, 100])
def test_a_damaged_key_file_is_refused(tmp_path: Path, alice: Key, place: int) -> None:
    """A changed letter in a key file is noticed."""
    line = bytearray(alice.line(private=True).encode())
    line[place] = ord("0") if line[place] != ord("0") else ord("1")
    (tmp_path / "a.key").write_bytes(line)

    with pytest.raises(ArchiveError):
        load_key(tmp_path / "a.key")


def test_a_header_has_one_reading() -> None:
    """What a header renders to is what is read back."""
    header = KeyHeader(1, "a" * 32, "segment", 7, (SealedKey("0" * 16, b"x" * 80),))
    raw = header.render()

    found, length, _ = read_header(io.BytesIO(raw + b"more"))

    assert (found, length) == (header, len(raw))
    for cut in range(len(raw)):
        with pytest.raises(ArchiveError):
            read_header(io.BytesIO(raw[:cut]))


def test_a_key_that_can_not_be_written_leaves_nothing(alice: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses is an error, and no half of a key file stays."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ArchiveError, match="can't be written: full"):
        save_key(alice, tmp_path / "a.key", private=True)
    assert list(tmp_path.iterdir()) == []
