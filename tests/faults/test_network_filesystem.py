"""Network file systems: recognised as what the system says they are, and refused with the remedy."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import palaver
from palaver import StoreBusy, StoreUnavailable, user
from palaver.stores.sqlite import connection
from palaver.stores.sqlite.filesystem import filesystem_type, is_network
from tests.faults import kit

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /home rw,nosuid - btrfs /dev/sdb rw,subvol=/home
31 30 0:40 / /home/ann/share rw,relatime shared:9 master:1 - nfs4 server:/export rw,vers=4.2
32 22 0:41 / /mnt/with\040space rw - cifs //server/share rw
33 22 0:42 / /mnt/données rw - nfs server:/export rw
34 22 0:43 / /over rw - nfs server:/old rw
35 34 0:44 / /over rw - tmpfs tmpfs rw
36 22 0:45 / /home-of-others rw - fuse.sshfs host: rw
this line is broken
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib", "ext4", False),
        ("/home/ann", "btrfs", False),
        ("/home/ann/share", "nfs4", True),
        ("/home/ann/share/deep/er", "nfs4", True),
        ("/home/ann/shared", "btrfs", False),
        ("/mnt/with space/x", "cifs", True),
        ("/mnt/données/x", "nfs", True),
        ("/over/x", "tmpfs", False),
        ("/home-of-others/x", "fuse.sshfs", True),
        ("/home-of", "ext4", False),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str, network: bool) -> None:
    """The innermost, newest mount above a path decides, whatever its name holds."""
    found = filesystem_type(path, MOUNTS)
    assert found == kind
    assert is_network(found) == network


def test_where_the_system_does_not_tell() -> None:
    """No list of mounts: nothing is known, and nothing refused."""
    assert filesystem_type("/anywhere", "") is None
    assert not is_network(None)


@pytest.fixture
def _on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own directory is on NFS, by what the system says."""
    mounts = f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:9 / {tmp_path} rw - nfs4 server:/export rw\n"
    monkeypatch.setattr(connection, "filesystem_type", lambda path: filesystem_type(path, mounts))


@pytest.mark.usefixtures("_on_nfs")
def test_a_store_on_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """The error names the path, the type and what to do instead, and no file was made."""
    for path in (tmp_path / "chat.db", tmp_path / "deeper" / "chat.db"):
        with pytest.raises(StoreUnavailable, match="nfs4") as error:
            palaver.open(path)
        assert str(path) in str(error.value)
        assert "exclusive=1" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_on_nfs")
def test_one_process_may_use_it_alone(tmp_path: Path) -> None:
    """`?exclusive=1` works there without the shared memory of a log, for one process at a time."""
    path = tmp_path / "chat.db"
    with palaver.open(f"sqlite:///{path}?exclusive=1") as sessions:
        sessions.create("key").append(user("hello"))
        assert [p.name for p in tmp_path.iterdir() if p.name.endswith(("-wal", "-shm"))] == []
        with pytest.raises(StoreBusy):
            palaver.open(f"sqlite:///{path}?exclusive=1&timeout=0.05")
    with palaver.open(f"sqlite:///{path}?exclusive=1") as sessions:
        assert kit.texts(sessions, "key") == ["hello"]


@pytest.mark.usefixtures("_on_nfs")
def test_threads_share_an_exclusive_store(tmp_path: Path) -> None:
    """Threads of the one process read and write at once: nothing fails, and nobody sees what is not committed."""
    with palaver.open(f"sqlite:///{tmp_path / 'chat.db'}?exclusive=1") as sessions:
        session = sessions.create("key")
        failures: list[BaseException] = []
        acknowledged = 0

        def write() -> None:
            nonlocal acknowledged
            try:
                for n in range(60):
                    session.append(user(f"{n} a"), user(f"{n} b"))
                    acknowledged += 2
            except palaver.PalaverError as error:
                failures.append(error)

        def read() -> None:
            try:
                while acknowledged < 120 and not failures:
                    before = acknowledged
                    count = session.info().message_count
                    assert before <= count <= 120
                    assert count % 2 == 0, "half of a transaction was seen"
                    assert len(session.messages(limit=200)) >= count
            except (palaver.PalaverError, AssertionError) as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for work in (write, read, read, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(kit.PATIENCE)
        assert failures == []
        assert sessions.check() == []
