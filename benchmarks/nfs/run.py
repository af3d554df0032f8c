"""What becomes of a file on NFS that several hosts write: its rows alone, and whole builds on Dask.

::

    apt install user-mode-linux nfs-kernel-server e2fsprogs kmod iproute2
    pip install -e ".[dask]"
    python benchmarks/nfs/run.py              # both parts, ten minutes
    python benchmarks/nfs/run.py rows         # one of them: rows or builds

Needs Debian or the like on x86-64, and neither root nor KVM: all happens in a User Mode Linux
guest, a kernel that runs as a process. Its root is this machine's, read-only; what it writes is in
memory or on a disk image in the temporary folder. `guest` is its first process and does the work.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from guest import DONE, PARTS

from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree

TOOLS = ("linux", "exportfs", "mount.nfs", "rpcbind", "mkfs.ext4", "modprobe", "ip")
DISK = 2 << 30
"""Bytes of the server's disk; the image is sparse."""


def main() -> int:
    """Boot the guest and print what it prints; exit code 0 if it came to its end."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        sys.exit(f"{', '.join(missing)}: not found; install the packages that {__file__} names")
    with tempfile.TemporaryDirectory(prefix="nfs") as name:
        folder = Path(name)
        write_demo_tree(folder / "ILSVRC")
        (folder / "demo.txt").write_text("\n".join(DEMO_WNIDS[::2]))
        with (folder / "disk").open("wb") as disk:
            disk.truncate(DISK)
        subprocess.run(["mkfs.ext4", "-q", "-F", disk.name], check=True)
        return boot(folder, sys.argv[1:] or list(PARTS))


def boot(folder: Path, parts: list[str]) -> int:
    """Run the guest, with the disk and the photos that are in ``folder``."""
    kernel = f"linux mem=6G ubd0={folder}/disk uml_dir={folder} con=null con0=null,fd:1 quiet"
    root = "root=/dev/root rootfstype=hostfs rootflags=/ ro loglevel=1"
    init = f"init={sys.executable} -- {Path(__file__).with_name('guest.py')} {folder}"
    words = [*kernel.split(), *root.split(), *init.split(), *parts]
    lines = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as guest:
        for line in guest.stdout or ():
            lines.append(line.strip())
            print(line.rstrip(), flush=True)
    return 0 if DONE in lines else 1


if __name__ == "__main__":
    sys.exit(main())
