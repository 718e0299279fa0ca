"""What the writer does to the disk, in one place: private files, whole blocks, and a manifest that is replaced at once."""

import os
from pathlib import Path
from typing import BinaryIO, Final

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700


class Disk:
    """The real disk. Every method raises `OSError` as the system does."""

    def make_folder(self, path: Path) -> None:
        """Make a new folder that only its owner can enter; its parents as needed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=PRIVATE_FOLDER)
        # The mode of mkdir is cut by the umask, never widened: set it again for an umask that takes from the owner.
        path.chmod(PRIVATE_FOLDER)
        self.settle_folder(path.parent)

    def create(self, path: Path) -> BinaryIO:
        """Make a new file that only its owner can read, unbuffered; `FileExistsError` where one is there."""
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, PRIVATE_FILE)
        return os.fdopen(descriptor, "r+b", buffering=0)

    def append(self, file: BinaryIO, data: bytes) -> None:
        """Write all of the data; the system may take it in pieces."""
        rest = memoryview(data)
        while rest:
            taken = file.write(rest)
            rest = rest[taken:]

    def shorten(self, file: BinaryIO, length: int) -> None:
        """Cut a file back to a length and go on from there."""
        file.truncate(length)
        file.seek(length)

    def remove(self, path: Path) -> None:
        """Take a file away again, if it is there."""
        path.unlink(missing_ok=True)

    def settle(self, file: BinaryIO) -> None:
        """Wait until a file's content is on the disk itself."""
        os.fsync(file.fileno())

    def settle_folder(self, path: Path) -> None:
        """Wait until a folder's entries are on the disk itself."""
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def replace(self, path: Path, data: bytes) -> None:
        """Put a file in place at once: whoever reads it sees the old content or the new one, whole."""
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        try:
            with self.create(draft) as file:
                self.append(file, data)
                self.settle(file)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        self.settle_folder(path.parent)
