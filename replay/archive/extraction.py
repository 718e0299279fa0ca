"""
Unpacking a tar that somebody else made, into a folder of its own.

How this works
--------------
Nothing is trusted: not the names, the links, the sizes, nor git's own files. `tarfile`'s `data` filter looks at each member, and on top
of it: limits on the sum of sizes, the number of members and the length of names; no absolute names, no `..`, no devices; no link that
could lead out of the tree. Symbolic links are made last, so that no file is ever written through one. Git hooks and executable git
configuration are dropped (`replay.archive.gitfiles`), and it is said which.

Everything happens in a draft folder beside the destination, which is renamed at the end: a half-unpacked tree is never in place.
"""

import gzip
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from replay.archive import blocks, gitfiles
from replay.archive.naming import link_stays_inside, split_name
from replay.model import ArchiveError

_STEP_BYTES: Final = 1 << 20
_READ_BYTES_MAX: Final = 16 << 20
"""No single read is longer: a header that claims gigabytes is refused before the memory is taken."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a tar may ask for."""

    bytes_max: int = 8 << 30
    """The sum of all files."""
    members_max: int = 200_000
    path_bytes_max: int = 1024


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was unpacked."""

    root: Path
    files: int
    bytes: int
    dropped: tuple[str, ...]
    """What was left out for safety, in words."""


type Opener = Callable[[Path], AbstractContextManager[io.BufferedReader]]


def extract(source: Path, destination: Path, limits: Limits, opener: Opener | None = None) -> Extraction:
    """
    Unpack a `.tar`, `.tar.gz`, `.tar.xz` or `.tar.zst` into a folder that is new or empty.

    The kind is read from the content, not from the name. *opener* opens a file that is more than a file on disk, such as an encrypted one.

    Raises:
        ArchiveError: it is none of these, cut, damaged, bigger than the limits, or holds what is refused; then nothing is left.
    """
    if destination.is_symlink() or (destination.exists() and not (destination.is_dir() and not any(destination.iterdir()))):
        raise ArchiveError(f"{destination}: there is something already; a snapshot is unpacked into a new or empty folder")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{destination.name}.draft-", dir=destination.parent))
    except OSError as error:
        raise ArchiveError(f"{destination}: can't be made: {error.strerror or error}") from error
    try:
        unpacking = _Unpacking(source, draft, limits, opener or _open_file)
        unpacking.run()
        dropped = gitfiles.disarm(draft)
        unpacking.settle_folders()
        draft.replace(destination)
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, zlib.error, lzma.LZMAError, blocks.DamagedStreamError) as error:
        raise ArchiveError(f"{source}: can't be unpacked: {error or 'it is cut'}; nothing was") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Extraction(destination, unpacking.files, unpacking.bytes, dropped)


class _Unpacking:
    """One tar on its way to disk."""

    def __init__(self, source: Path, root: Path, limits: Limits, opener: Opener) -> None:
        self.source = source
        self.opener = opener
        self.root = root
        self.limits = limits
        self.files = 0
        self.bytes = 0
        self._members = 0
        self._links: dict[tuple[str, ...], str] = {}
        self._made: set[tuple[str, ...]] = set()
        self._folders: list[tuple[Path, tarfile.TarInfo]] = []

    def run(self) -> None:
        """Unpack everything; links come last."""
        with ExitStack() as stack:
            stream = _Bounded(_open(self.source, self.opener, stack), self.limits)
            # `_Bounded` has the three methods that tarfile needs of a file.
            with tarfile.open(fileobj=cast("BinaryIO", stream), mode="r:", errors="surrogateescape") as tar:
                for member in tar:
                    self._take(tar, member)
            stream.check_end()
        for parts, target in self._links.items():
            self.root.joinpath(*parts).symlink_to(target)

    def settle_folders(self) -> None:
        """Give folders their modes and times, after nothing more changes in them."""
        for path, member in reversed(self._folders):
            if path.is_dir():
                path.chmod(member.mode & 0o755 | 0o700)
                os.utime(path, (member.mtime, member.mtime))

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._members += 1
        if self._members > self.limits.members_max:
            raise self._refused(member, f"more than {self.limits.members_max} members")
        parts = split_name(member.name, self.limits.path_bytes_max)
        if parts is None:
            raise self._refused(member, "its name is absolute, climbs out, or is too long")
        if any(parts[:length] in self._links for length in range(1, len(parts) + 1)):
            raise self._refused(member, "it lies behind a link")
        # The filter refuses what this code refuses too, and takes away owners and dangerous modes.
        safe = tarfile.data_filter(member, str(self.root))
        path = self.root.joinpath(*parts)
        if member.isdir():
            self._folder(path, member, parts)
        elif parts in self._made or not parts:
            raise self._refused(member, "its name is there twice")
        elif member.issym():
            if not link_stays_inside(member.name, member.linkname):
                raise self._refused(member, "the link leads out of the tree")
            self._parents(path)
            self._links[parts] = member.linkname
        elif member.islnk():
            self._copy(member, path)
        elif member.isreg():
            if self.bytes + member.size > self.limits.bytes_max:
                # Said before gigabytes are written; what lies about its size is caught while it is.
                raise self._refused(member, f"more than {self.limits.bytes_max} bytes in all")
            content = tar.extractfile(member)
            if content is None:
                raise self._refused(member, "it has no content")
            self._file(path, safe, content.read, member)
        else:
            raise self._refused(member, "neither file, folder nor link")
        self._made.add(parts)

    def _folder(self, path: Path, member: tarfile.TarInfo, parts: tuple[str, ...]) -> None:
        path.mkdir(parents=True, exist_ok=True)
        if parts:
            self._folders.append((path, member))

    def _parents(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

    def _copy(self, member: tarfile.TarInfo, path: Path) -> None:
        """Make a file of its own of a hard link: the two names must not stay one file."""
        target = split_name(member.linkname, self.limits.path_bytes_max)
        if not target or target not in self._made or target in self._links:
            raise self._refused(member, "the hard link names nothing that came before it")
        first = self.root.joinpath(*target)
        if not first.is_file():
            raise self._refused(member, "the hard link names no file")
        with first.open("rb") as content:
            self._file(path, member, content.read, member)
        shutil.copymode(first, path)
        shutil.copystat(first, path)

    def _file(self, path: Path, safe: tarfile.TarInfo, read: Callable[[int], bytes], member: tarfile.TarInfo) -> None:
        self._parents(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while data := read(_STEP_BYTES):
                self.bytes += len(data)
                if self.bytes > self.limits.bytes_max:
                    raise self._refused(member, f"more than {self.limits.bytes_max} bytes in all")
                file.write(data)
            if member.isreg() and file.tell() != member.size:
                raise self._refused(member, "it is cut")
        path.chmod((safe.mode or 0o600) & 0o777 | 0o600)
        os.utime(path, (safe.mtime, safe.mtime))
        self.files += 1

    def _refused(self, member: tarfile.TarInfo, why: str) -> ArchiveError:
        return ArchiveError(f"{self.source}: refused: {member.name!r}: {why}; nothing was unpacked")


class _Bounded:
    """A file for tarfile to read, forwards, with limits; it remembers the last block, to see whether the tar has its end mark."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        # Headers, padding and long names come on top of the files themselves.
        self._bytes_max = limits.bytes_max + limits.members_max * (4096 + 2 * limits.path_bytes_max)
        self._last = b""
        self._place = 0

    def read(self, size: int = -1) -> bytes:
        """Read exactly so many bytes, fewer only at the end."""
        if not 0 <= size <= _READ_BYTES_MAX:
            raise ValueError(f"a header of {size} bytes is more than a tar may ask for")
        parts = []
        while size > 0 and (data := self._file.read(size)):
            parts.append(data)
            size -= len(data)
        self._last = b"".join(parts)
        self._place += len(self._last)
        if self._place > self._bytes_max:
            raise ValueError("unpacked, it is bigger than the limits allow")
        return self._last

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go forwards by reading."""
        if whence != os.SEEK_SET or place < self._place:
            raise ValueError("a tar is read forwards only")
        while self._place < place:
            if not self.read(min(_STEP_BYTES, place - self._place)):
                break
        return self._place

    def tell(self) -> int:
        """Say where it is."""
        return self._place

    def check_end(self) -> None:
        """
        Read to the end of the file.

        Raises:
            ValueError: the end mark is missing, so the tar is cut or damaged (tarfile itself would stay silent).
        """
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise ValueError("its end mark is missing: it is cut or damaged")
        while data := self.read(_STEP_BYTES):
            if data.strip(b"\0"):
                raise ValueError("something stands behind its end mark")


def _open_file(source: Path) -> AbstractContextManager[io.BufferedReader]:
    if source.exists() and not source.is_file():
        raise ValueError("it is no file")
    return source.open("rb")


def _open(source: Path, opener: Opener, stack: ExitStack) -> BinaryIO:
    """Open a tar and undo its compression, by the content's first bytes."""
    file = stack.enter_context(opener(source))
    magic = file.peek(6)[:6]
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return stack.enter_context(blocks.unpacking_stream(file))
    if magic.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb")))
    if magic == b"\xfd7zXZ\0":
        return cast("BinaryIO", stack.enter_context(lzma.LZMAFile(file, "rb")))
    return file
