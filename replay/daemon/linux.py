"""
The few Linux system calls that a cell is made of: mounts, the loopback interface, a new root; and its namespaces' names.

Python has no door to the calls; they are made through the C library. All raise OSError with the paths in it.
"""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Final

_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 1 << 18
_MNT_DETACH: Final = 2
_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_MOUNT_ATTR_RDONLY: Final = 1
_SYS_MOUNT_SETATTR: Final = 442  # the same number on every architecture
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def bind(source: Path, target: Path) -> None:
    """Show `source` (and what is mounted below it) at `target`, which must exist."""
    result = _libc().mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(_MS_BIND | _MS_REC), None)
    _check(result, f"bind {source} at {target}")


def mount_tmpfs(target: Path, mode: int) -> None:
    """Mount an empty memory file system at a directory."""
    result = _libc().mount(b"tmpfs", os.fsencode(target), b"tmpfs", ctypes.c_ulong(0), f"mode={mode:o}".encode())
    _check(result, f"mount tmpfs at {target}")


def make_private() -> None:
    """Keep all mounts from here on to this namespace."""
    _check(_libc().mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "make mounts private")


def set_read_only(path: Path, *, on: bool, recursive: bool) -> None:
    """Make the mount at a path read-only or writable again (Linux 5.12 and later)."""
    attributes = _MountAttributes(
        attr_set=_MOUNT_ATTR_RDONLY if on else 0,
        attr_clr=0 if on else _MOUNT_ATTR_RDONLY,
    )
    result = _libc().syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(_AT_RECURSIVE if recursive else 0),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _check(result, f"set {path} {'read-only' if on else 'writable'}")


def move_root(root: Path, old: Path) -> None:
    """Make a mounted directory the root, with the old root at `old`, a directory in it."""
    _check(_libc().pivot_root(os.fsencode(root), os.fsencode(old)), f"move the root to {root}")
    os.chdir("/")


def enter_root(root: Path) -> None:
    """Make a mounted directory the root, and let go of the old one."""
    libc = _libc()
    os.chdir(root)
    # The old root is put over the new one and taken off again: no directory is needed for it.
    _check(libc.pivot_root(b".", b"."), f"enter {root}")
    _check(libc.umount2(b".", ctypes.c_int(_MNT_DETACH)), "leave the old root")
    os.chdir("/")


def own_namespaces() -> dict[str, str]:
    """Name the namespaces of this process, as the kernel does."""
    return {name: str(Path(f"/proc/self/ns/{name}").readlink()) for name in ("net", "mnt", "pid", "user")}


def listening_sockets() -> tuple[str, ...]:
    """Name the Unix sockets that have a path, as this network namespace knows them."""
    try:
        lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]
    except OSError:
        return ()
    fields = (line.split(maxsplit=7) for line in lines)
    return tuple(sorted({each[7] for each in fields if len(each) == 8 and each[7].startswith("/")}))


def bring_loopback_up() -> None:
    """Switch the interface `lo` on; a new network namespace has nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
