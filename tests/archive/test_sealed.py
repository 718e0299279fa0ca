"""Files beside archives, and what a process that reads an archive is handed."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.archive import (
    ArchiveWriter,
    Keyring,
    LockedError,
    change_recipients,
    key_id,
    make_key,
    narrowed,
    public_keys,
    read,
    read_sealed,
    write_sealed,
)
from replay.model import ArchiveError, Connection, Opened, Request

ONE, TWO, OTHER = make_key("one"), make_key("two"), make_key("other")
RING = Keyring.of([ONE])


def sealed(path: Path, *parts: bytes) -> Path:
    """Write a sealed file for two people."""
    with path.open("wb") as file:
        write_sealed(file, parts, [ONE.public, TWO.public])
    return path


def archive(path: Path, *recipients: bytes, segments: int = 1) -> Path:
    """Write a small archive of several segments."""
    with ArchiveWriter.create(path, kind="recording", facts={"mine": 1}, recipients=recipients) as writer:
        for number in range(1, segments + 1):
            writer.append(Opened(number, number, 1.0, Connection("c"), Request(b"GET", b"/", b"HTTP/1.1", ())))
            if number < segments:
                writer.rotate()
        writer.seal(event=segments + 1, at=2.0, reason="test")
    return path


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_what_was_sealed_is_read(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    """Each recipient reads the whole, in whatever parts it was written."""
    path = sealed(tmp_path_factory.mktemp("sealed") / "a.enc", *parts)
    for key in (ONE, TWO):
        assert read_sealed(path, Keyring.of([key])) == b"".join(parts)


def test_longer_than_a_piece(tmp_path: Path) -> None:
    """Content of several pieces comes back, and nothing of it stands in the file."""
    content = b"in clear " * 300_000
    path = sealed(tmp_path / "a.enc", content[:1_000_000], content[1_000_000:])
    assert read_sealed(path, RING) == content
    assert b"in clear" not in path.read_bytes()


def test_whose_key_it_is_not(tmp_path: Path) -> None:
    """Without the right key it is an error that names those that open it; without a recipient nothing is written."""
    path = sealed(tmp_path / "a.enc", b"x")
    for ring in (Keyring(), Keyring.of([OTHER])):
        with pytest.raises(LockedError, match=f"{ONE.id}, {TWO.id}"):
            read_sealed(path, ring)
    with pytest.raises(ArchiveError, match="needs a recipient"):
        write_sealed(io.BytesIO(), [b"x"], [])


def test_nothing_of_it_can_be_changed(tmp_path: Path) -> None:
    """Cut at any byte, or with any byte changed, it is an error; so is another file, or none."""
    whole = sealed(tmp_path / "a.enc", b"some content").read_bytes()
    path = tmp_path / "b.enc"
    for place in range(len(whole)):
        for spoiled in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(spoiled)
            try:
                # the other recipient's sealed key, or its name, may have been hit: this one's still opens the whole
                said = read_sealed(path, RING)
            except ArchiveError as error:
                said = str(error).encode()
            assert str(path).encode() in said or (said == b"some content" and len(spoiled) == len(whole))
    encrypted = archive(tmp_path / "a.parity", ONE.public)
    for other in (encrypted / "segment-000001.msgpack.zst.enc", encrypted / "manifest.json", tmp_path / "none", tmp_path):
        with pytest.raises(ArchiveError, match=str(other)):
            read_sealed(other, RING)


def test_a_reader_is_handed_one_archives_keys(tmp_path: Path) -> None:
    """The narrowed keys read that archive, through JSON too, and nothing else; a private key is never handed on."""
    mine, other = archive(tmp_path / "a.parity", ONE.public, segments=3), archive(tmp_path / "b.parity", ONE.public)
    whole = list(read(mine, keys=RING).records())

    ring = narrowed(read(mine, keys=RING))
    handed = Keyring.of_json(ring.as_json())

    assert ring.keys == {}
    assert ONE.private is not None
    assert ONE.private.hex() not in str(ring.as_json())
    assert ONE.private not in b"".join(ring.data_keys.values())
    assert list(read(mine, keys=handed).records()) == whole
    with pytest.raises(LockedError, match=ONE.id):
        read(other, keys=handed)
    with pytest.raises(ValueError, match="never handed on"):
        RING.as_json()
    assert narrowed(read(archive(tmp_path / "clear.parity"))) == Keyring()


def test_whom_to_encrypt_for(tmp_path: Path) -> None:
    """An archive names its recipients' public keys, also after they were changed; one that does not is known by the reader's own."""
    path = archive(tmp_path / "a.parity", ONE.public, TWO.public)
    assert public_keys(read(path, keys=RING)) == ((ONE.public, TWO.public), ())
    change_recipients(path, RING, add=[OTHER.public], drop=[TWO.id])
    changed = read(path, keys=RING)
    assert public_keys(changed) == ((ONE.public, OTHER.public), ())
    assert changed.facts["mine"] == 1
    changed.facts["recipient_keys"] = ["nonsense", 7, "ff" * 31]
    assert public_keys(changed) == ((ONE.public,), (key_id(OTHER.public),))
    assert public_keys(read(archive(tmp_path / "clear.parity"))) == ((), ())


def test_a_lost_manifest_does_not_make_it_clear(tmp_path: Path) -> None:
    """An encrypted archive whose manifest is gone is still one that was for somebody, and its reader can still be handed its keys."""
    path = archive(tmp_path / "a.parity", ONE.public, TWO.public, segments=2)
    (path / "manifest.json").unlink()
    salvaged = read(path, salvage=True, keys=RING)
    assert public_keys(salvaged) == ((ONE.public,), (TWO.id,))
    assert list(read(path, salvage=True, keys=narrowed(salvaged)).records()) == list(salvaged.records())
    (path / "segment-000001.msgpack.zst.enc").write_bytes(b"damaged")
    damaged = read(path, salvage=True, keys=RING)
    assert public_keys(damaged) == ((ONE.public,), (TWO.id,))
    assert list(read(path, salvage=True, keys=narrowed(damaged)).records()) == list(damaged.records())
