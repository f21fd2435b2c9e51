"""What file systems can do: whether SQLite's WAL mode may be used on one, and making names durable.

WAL needs memory that all processes on the file share, and locks that work. Network file systems have neither
(SQLite, "Use Of WAL Mode Over A Network Filesystem").
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")

__all__ = ["NETWORK_TYPES", "filesystem_type", "is_network", "sync_folder"]

NETWORK_TYPES = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb2",
        "smb3",
        "smbfs",
        "afs",
        "ncpfs",
        "ncp",
        "coda",
        "ceph",
        "lustre",
        "glusterfs",
        "gfs",
        "gfs2",
        "ocfs2",
        "beegfs",
        "orangefs",
        "pvfs2",
        "9p",
        "acfs",
        "gpfs",
        "davfs",
        "virtiofs",
        "fuse.sshfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.davfs2",
        "fuse.smbnetfs",
        "fuse.curlftpfs",
        "fuse.goofys",
        "fuse.juicefs",
    }
)


_known: dict[int, str | None] = {}
"""Types by device: reading the table of mounts takes longer than the rest of opening a store."""


def filesystem_type(path: str, mounts: str | None = None) -> str | None:
    """The type of the file system under a path, as Linux names it; None where the system does not tell.

    `mounts` is the text of /proc/self/mountinfo.
    """
    if mounts is not None:
        return _type_at(path, mounts)
    try:
        device = os.stat(path).st_dev  # noqa: PTH116
    except OSError:
        device = os.stat(_nearest(path)).st_dev  # noqa: PTH116
    if device not in _known:
        _known[device] = _type_at(path, _mounts())
    return _known[device]


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return ""


def _type_at(path: str, mounts: str) -> str | None:
    target = os.path.realpath(path)
    best, found = -1, None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or not kinds:
            continue
        point = _OCTAL.sub(lambda m: chr(int(m[1], 8)), fields[4])  # spaces are written \040
        if len(point) >= best and (target == point or target.startswith(point.rstrip("/") + "/")):
            best, found = len(point), kinds[0]
    return found


def _nearest(path: str) -> str:
    """The path itself, or the nearest folder above it that exists."""
    here = os.path.abspath(path)  # noqa: PTH100 - as the caller's
    while not os.path.exists(here) and os.path.dirname(here) != here:  # noqa: PTH110, PTH120
        here = os.path.dirname(here)  # noqa: PTH120
    return here


def is_network(kind: str | None) -> bool:
    """Whether WAL is unsafe on that type."""
    return kind in NETWORK_TYPES


def sync_folder(folder: Path) -> None:
    """Make names durable; some file systems cannot, and need not. Raises OSError."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(fd)
