"""First process of the guest: an NFS server, and hosts that mount its disk. See `run`.

A host is a process with namespaces of its own for mounts, network and name. The kernel then has an
NFS client for each, with a page cache of its own, as on as many machines; but it is one kernel.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

import builds
import rows

PARTS = {"rows": rows.main, "builds": builds.main}
DONE = "done"
POWER_OFF = 0x4321FEDC  # of reboot(2)
# Locks of NFS 3 would need a daemon on each host; no two hosts lock the same file here.
MOUNTS = {
    "3": f"-o vers=3,nolock {rows.SERVER}:{rows.DISK}",
    "4.2": f"-o vers=4.2 {rows.SERVER}:/",
}
"""What is mounted, and how, by version of NFS."""


def sh(command: str, start: tuple[str, ...] = ()) -> None:
    """Run a command of the system, by a command that starts it."""
    subprocess.run([*start, "sh", "-ec", command], check=True)


def start_server() -> None:
    """Export the disk over NFS, on a bridge that the hosts are on too."""
    sh("mount -t proc none /proc; mount -t sysfs none /sys; mount -t tmpfs none /run")
    # Debian has the guest's modules where modprobe doesn't look.
    sh("mkdir -p /run/lib/modules; ln -s /usr/lib/uml/modules/* /run/lib/modules")
    sh("modprobe -d /run -a nfsd nfsv3 nfsv4 bridge veth")
    sh("ip link set lo up; ip link add b0 type bridge; ip link set b0 up")
    sh(f"ip address add {rows.SERVER}/24 dev b0")
    sh(f"mkdir -p {rows.DISK} {rows.MOUNT} /run/rpcbind; mount -t ext4 /dev/ubda {rows.DISK}")
    sh("mount -t tmpfs none /var/lib/nfs; touch /var/lib/nfs/etab /var/lib/nfs/rmtab; rpcbind")
    sh("mount -t nfsd none /proc/fs/nfsd")
    sh(f"exportfs -o rw,sync,no_root_squash,no_subtree_check,fsid=0 '*:{rows.DISK}'")
    sh("rpc.nfsd 4; rpc.mountd")
    # Else opens wait for 90 s, in which clients could claim what they had before a crash.
    sh("echo Y > /proc/fs/nfsd/v4_end_grace")


class Host:
    """A host with the server's disk at `rows.MOUNT`."""

    def __init__(self, number: int, version: str) -> None:
        self.name = f"host{number}"
        words = ["unshare", "--mount", "--net", "--uts", "sleep", "infinity"]
        self._process = subprocess.Popen(words)
        self.start = ("nsenter", "-t", str(self._process.pid), "-m", "-n", "-u")
        """The words before those of a command that runs on this host."""
        time.sleep(1)  # until it has unshared
        sh(f"ip link add v{number} type veth peer name e0 netns {self._process.pid}")
        sh(f"ip link set v{number} master b0 up")
        sh(f"hostname {self.name}; ip link set lo up; ip link set e0 up", self.start)
        sh(f"ip address add 10.0.0.{10 + number}/24 dev e0", self.start)
        sh(f"mount -t nfs {MOUNTS[version]} {rows.MOUNT}", self.start)

    def close(self) -> None:
        """Unmount the disk and end the host."""
        sh(f"umount {rows.MOUNT}", self.start)
        self._process.kill()
        self._process.wait()


def main() -> None:
    """Run the parts that are asked for, with each version of NFS, and power off."""
    folder, *parts = sys.argv[1:]
    os.environ |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/run", "HOME": "/run"}
    try:
        start_server()
        print(f"Linux {os.uname().release}, a User Mode Linux guest", flush=True)
        for part in filter(PARTS.get, parts):  # the kernel adds words of its own
            for version in MOUNTS:
                print(f"\nNFS {version}, {part}\n", flush=True)
                hosts = [Host(number, version) for number in range(1, 4)]
                PARTS[part](hosts, Path(folder))
                for host in hosts:
                    host.close()
        print(DONE, flush=True)
    except BaseException:
        traceback.print_exc()
    finally:
        ctypes.CDLL(None).reboot(POWER_OFF)


if __name__ == "__main__":
    main()
