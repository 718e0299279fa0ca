"""
Real disks to break: small file systems in a mount namespace of their own, so that nothing of it is seen outside, and nothing stays.

How this works
--------------
A process holds the namespace; mitmdump enters it (`prefix`), the test looks in through `/proc/<holder>/root`. What needs no rights beyond a
user namespace (a tmpfs that is full) works for everybody. The rest needs root and loop devices: an ext4 in a file, which the kernel itself
turns read-only after a (triggered) error, which `fsfreeze` stops, or whose device a block cgroup limits to so many bytes a second; mounted
`sync`, so that a write waits for the device. All of it is the kernel's own doing, no stand-in.
"""

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup/blkio")


@dataclass(slots=True)
class Place:
    """A file system that only those in the namespace see."""

    holder: asyncio.subprocess.Process
    inside: Path
    """Its path for who is inside."""
    image: Path | None
    """The file that holds an ext4."""

    @property
    def seen(self) -> Path:
        """Its path from outside."""
        return Path(f"/proc/{self.holder.pid}/root{self.inside}")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command that shall run inside."""
        user = () if os.geteuid() == 0 else ("-U", "--preserve-credentials")
        return ("nsenter", "-t", str(self.holder.pid), *user, "-m", f"--wd={self.inside}")

    async def run(self, script: str) -> str:
        """Run a shell script inside; give what it says."""
        process = await asyncio.create_subprocess_exec(
            *self.prefix, "sh", "-ec", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise OSError(f"{script}: exit code {process.returncode}: {said.decode(errors='replace')}")
        return said.decode().strip()

    async def device(self) -> str:
        """Give the name of the loop device, such as `loop3`."""
        return (await self.run(f"findmnt -no SOURCE {self.inside} | tail -1")).rpartition("/")[2]

    async def resize(self, size: str) -> None:
        """Give a tmpfs another size, such as `64m`."""
        await self.run(f"mount -o remount,size={size} {self.inside}")

    async def break_down(self) -> None:
        """Let the kernel find an error in the ext4: from now on it is read-only."""
        await self.run(f"echo 1 > /sys/fs/ext4/{await self.device()}/trigger_fs_error")

    async def replace(self) -> None:
        """Put a new, empty disk in place, as an operator does; the old one goes on under `…-old`."""
        old = self.inside.with_name(f"{self.inside.name}-old")
        await self.run(
            f"mkdir -p {old} && mount --bind {self.inside} {old} && cd / && umount -l {self.inside} && mount -t tmpfs none {self.inside}"
        )

    async def freeze(self) -> None:
        """Let every write to the ext4 hang."""
        await self.run(f"fsfreeze -f {self.inside}")

    async def thaw(self) -> None:
        """Let them go on."""
        await self.run(f"fsfreeze -u {self.inside}")

    async def slow_down(self, bytes_per_s: int, pids: set[int]) -> Path:
        """Let these processes write only so many bytes a second to the ext4; give the cgroup, for `let_go`."""
        number = await self.run(f"cat /sys/block/{await self.device()}/dev")
        return _limit(f"parity-{self.holder.pid}", f"{number} {bytes_per_s}", pids)

    async def close(self) -> None:
        """Give it all back."""
        assert self.holder.stdin
        self.holder.stdin.close()
        await self.holder.wait()
        if self.image is not None:
            self.image.unlink()


def _limit(name: str, limit: str, pids: set[int]) -> Path:
    group = _CGROUP / name
    group.mkdir(exist_ok=True)
    (group / "blkio.throttle.write_bps_device").write_text(limit)
    for pid in pids:
        (group / "cgroup.procs").write_text(str(pid))
    return group


def let_go(group: Path) -> None:
    """Put the processes of a cgroup back to the root's, and remove it."""
    for pid in (group / "cgroup.procs").read_text().split():
        try:
            (_CGROUP / "cgroup.procs").write_text(pid)
        except ProcessLookupError:
            continue
    group.rmdir()


async def lacks(*, ext4: bool, throttle: bool = False) -> str:
    """Say why a place of this kind can't be had here; empty where it can."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "no unshare or nsenter"
    if ext4 and (os.geteuid() != 0 or shutil.which("mkfs.ext4") is None or not _has("/dev/loop-control")):
        return "an ext4 on a loop device needs root"
    if throttle and not _has(f"{_CGROUP}/blkio.throttle.write_bps_device"):
        return "no block cgroup (version 1) at its usual place"
    probe = await asyncio.create_subprocess_exec(*_unshare(), "true", stderr=asyncio.subprocess.DEVNULL)
    return "no mount namespaces" if await probe.wait() else ""


async def make_tmpfs(folder: Path, size: str) -> Place:
    """Make a tmpfs of a size such as `3m`."""
    return await _make(folder, f"mount -t tmpfs -o size={size} none {folder / 'disk'}", None)


async def make_ext4(folder: Path, size_mib: int) -> Place:
    """Make an ext4 on a loop device; every write waits for the device."""
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(size_mib << 20)
    make = await asyncio.create_subprocess_exec("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", str(image))
    if await make.wait():
        raise OSError(f"mkfs.ext4 failed on {image}")
    return await _make(folder, f"mount -o loop,sync,errors=remount-ro {image} {folder / 'disk'}", image)


def _has(path: str) -> bool:
    return Path(path).exists()


def _unshare() -> tuple[str, ...]:
    return ("unshare", *(() if os.geteuid() == 0 else ("-Ur",)), "--mount")


async def _make(folder: Path, mount: str, image: Path | None) -> Place:
    disk = folder / "disk"
    disk.mkdir()
    holder = await asyncio.create_subprocess_exec(
        *_unshare(), "sh", "-ec", f"{mount}; echo there; exec cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout
    if await holder.stdout.readline() != b"there\n":
        raise OSError(f"{mount}: did not work")
    return Place(holder, disk, image)
