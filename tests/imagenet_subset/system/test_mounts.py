"""Which file system a path is on, by lines of ``/proc/self/mountinfo`` and on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_subset.system import mounts
from imagenet_subset.system.mounts import Mount, Way, mount_at, parsed, way_to_write

TABLE = rb"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
40 27 0:44 / /home rw,relatime shared:2 master:3 - nfs4 nas:/home rw,vers=4.2,hard
41 40 0:45 / /home/ann/My\040disk\134s rw - xfs /dev/sdb1 rw
42 27 254:0 /var/data /data rw,relatime - ext4 /dev/vda rw
43 42 0:46 /sub /data/share rw - cifs //nas/share rw
44 27 0:47 / /stack rw - ext4 /dev/sdc rw
45 44 0:48 / /stack rw - nfs nas:/stack rw,vers=3
46 27 0:49 / /old rw - tmpfs tmpfs rw
47 46 0:50 / /old/deep rw - xfs /dev/sdd rw
48 46 0:51 / /old rw - btrfs /dev/sde rw,subvol=/a
49 27 0:52 / /mnt/bucket rw,nosuid - fuse mountpoint-s3 rw,user_id=0
50 27 0:53 / /mnt/gcs rw - fuse.gcsfuse my-bucket rw
51 27 0:54 / /mnt/other rw - fuse someone's rw
52 27 0:55 / /mnt/unnamed rw - tmpfs  rw
53 27 0:56 / /home2 rw - lustre 10.0.0.1@tcp:/fs rw
54 27 0:57 / /mnt/\303\244\377 rw - ceph 10.0.0.1:/ rw
"""


def of(path: str, table: bytes = TABLE) -> str:
    mount = mount_at(path, parsed(table))
    return mount.file_system if mount else ""


@pytest.mark.parametrize(
    ("path", "file_system"),
    [
        ("/", "ext4"),
        ("/homes", "ext4"),
        ("/home", "nfs4"),
        ("/home/ann/x", "nfs4"),
        ("/home2/x", "lustre"),
        ("/home/ann/My disk\\s/out/file", "xfs"),
        ("/home/ann/My disk", "nfs4"),
        ("/data/out", "ext4"),
        ("/data/share/out", "cifs"),
        ("/mnt/unnamed/x", "tmpfs"),
        (os.fsdecode(b"/mnt/\xc3\xa4\xff/x"), "ceph"),
    ],
)
def test_a_path_is_on_the_mount_that_is_nearest_above_it(path, file_system) -> None:
    assert of(path) == file_system


def test_of_two_mounts_on_a_folder_the_later_one_counts() -> None:
    assert of("/stack/out") == "nfs"


def test_a_mount_below_a_folder_that_another_one_hides_does_not_count() -> None:
    assert of("/old/deep/out") == "btrfs"


@pytest.mark.parametrize(
    ("path", "file_system"),
    [
        ("/mnt/bucket/a", "fuse.mountpoint-s3"),
        ("/mnt/gcs/a", "fuse.gcsfuse"),
        ("/mnt/other/a", "fuse"),
    ],
)
def test_fuse_goes_by_the_name_that_it_gives_as_type_or_source(path, file_system) -> None:
    assert of(path) == file_system


def test_a_process_that_does_not_see_its_root_s_mount_knows_of_the_others() -> None:
    table = b"60 59 0:60 / /out rw - nfs nas:/out rw\n61 60 0:61 / /out/a rw - xfs /dev/sda rw\n"
    assert [of(path, table) for path in ("/", "/out/x", "/out/a/x")] == ["", "nfs", "xfs"]


def test_a_root_that_is_on_itself_is_found() -> None:
    assert of("/a", b"1 1 0:2 / / rw - rootfs rootfs rw\n") == "rootfs"


def test_lines_of_another_form_are_left_out() -> None:
    table = b"\nno line of it\n1 0 0:2 / / rw - tmpfs none rw\n"
    assert list(parsed(table)) == [Mount(1, 0, "/", "tmpfs", "none")]


@pytest.mark.parametrize(
    ("way", "names"),
    [
        (Way.SYNC_EACH, "nfs nfs4 9p virtiofs beegfs fuse fuse.sshfs fuse.bindfs fuseblk afs new"),
        (Way.SYNC_AFTER, "ext2 ext3 ext4 xfs btrfs zfs tmpfs ramfs overlay f2fs lustre gpfs ceph"),
        (Way.NOT, "cifs smb3 smbfs fuse.s3fs fuse.gcsfuse fuse.mountpoint-s3 fuse.rclone"),
        (Way.NOT, "fuse.goofys fuse.geesefs fuse.blobfuse2 fuse.blobfuse fuse.ossfs"),
    ],
)
def test_the_way_to_write_goes_by_the_type(way, names) -> None:
    assert {name: way_to_write(name) for name in names.split()} == dict.fromkeys(names.split(), way)


def test_a_system_without_the_table_has_each_write_synced(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(mounts, "_TABLE", str(tmp_path / "isn't there"))
    assert mounts.file_system_of(tmp_path) == ""
    assert mounts.refusal(tmp_path) == ""
    assert mounts.sync_flag(tmp_path) == os.O_DSYNC
    monkeypatch.delattr(os, "O_DSYNC")
    assert mounts.sync_flag(tmp_path) == 0


# The mounts of this machine

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux's /proc")
needs_root = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts file systems"
)

AS_THE_KERNEL_SAYS = """
import os, sys
from pathlib import Path
from imagenet_subset.system.mounts import mount_at, parsed

def number(path):
    fd = os.open(path, os.O_PATH)
    try:
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    finally:
        os.close(fd)
    return int(dict(line.split(":", 1) for line in lines)["mnt_id"])

table = list(parsed(Path("/proc/self/mountinfo").read_bytes()))
looked_at = 0
for path in [*sys.argv[1:], *(mount.point for mount in table)]:
    try:
        expected = number(path)
    except OSError:  # hidden, or not for us
        continue
    found = mount_at(os.path.realpath(path), table)
    assert found is not None and found.number == expected, (path, expected, found)
    looked_at += 1
print(looked_at)
"""


def checked(*paths: Path, script: str = 'exec "$@"', under: tuple[str, ...] = ()) -> int:
    """Compare with the kernel's word for paths and all mount points; how many those were."""
    done = subprocess.run(
        [*under, "sh", "-ec", script, "sh", sys.executable, "-c", AS_THE_KERNEL_SAYS, *paths],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@on_linux
def test_every_mount_of_this_machine_is_found_as_the_kernel_says(tmp_path) -> None:
    assert checked(tmp_path, Path(__file__)) > 2


@needs_root
def test_bound_stacked_and_hidden_mounts_are_found_as_the_kernel_says(tmp_path) -> None:
    for name in ("disk/inner", "bound", "with space", "hidden/deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("bound/inner")
    script = f"""
    cd '{tmp_path}'
    mount -t tmpfs tmpfs disk; mkdir -p disk/inner
    mount -t tmpfs tmpfs disk/inner
    mount --rbind disk bound
    mount --bind disk/inner 'with space'
    mount -t tmpfs tmpfs 'with space'
    mount -t tmpfs tmpfs hidden/deep
    mount -t tmpfs tmpfs hidden; mkdir -p hidden/deep
    exec "$@"
    """
    paths = [tmp_path / name for name in ("link", "bound/inner", "with space", "hidden/deep")]
    assert checked(*paths, script=script, under=("unshare", "-m")) > 10


@on_linux
def test_the_way_on_this_machine_s_disk_is_that_of_its_type(tmp_path) -> None:
    command = ["findmnt", "-n", "-o", "FSTYPE", "--target", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert mounts.file_system_of(tmp_path) == said
    assert mounts.file_system_of(tmp_path / "not/there/yet") == said
    assert mounts.sync_flag(tmp_path) in (0, os.O_DSYNC)


@needs_root
def test_tmpfs_is_told_from_what_it_is_mounted_on(tmp_path) -> None:
    (disk := tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
    try:
        assert mounts.file_system_of(disk / "out") == "tmpfs"
        assert mounts.sync_flag(disk) == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)
