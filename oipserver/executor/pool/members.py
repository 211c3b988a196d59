"""What of a packed environment may be extracted, and how: nothing that leaves its folder; knows no environment.

Python has a filter for that, but not before 3.11.4, while distributions ship 3.11.2.
"""

from __future__ import annotations

import copy
import os
import tarfile
from pathlib import Path


def extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Extract one file, folder or link into ``folder``, as a file of this process's user that nobody else can write.

    Raises ValueError naming a member that is something else or would leave the folder, by its own name, through a link
    that was extracted before, or by what it links to.
    """
    member = copy.copy(member)
    member.name = member.name.lstrip("/")  # as tar itself does
    _refuse_way_out(folder, member.name, f"'{member.name}'")
    if member.issym():
        target = os.path.join(os.path.dirname(member.name), member.linkname)
        _refuse_target_outside(folder, target, member)
    elif member.islnk():
        _refuse_way_out(folder, member.linkname, f"'{member.name}', a link to '{member.linkname}',")
        _refuse_target_outside(folder, member.linkname, member)
    elif not (member.isfile() or member.isdir()):
        raise ValueError(f"'{member.name}' is neither a file nor a folder nor a link")
    executable = member.isdir() or member.mode & 0o100
    member.mode = 0o755 if executable else 0o644
    member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
    archive.extraction_filter = lambda each, _: each  # newer Pythons ask for one
    archive.extract(member, folder)


def _refuse_way_out(folder: Path, name: str, what: str) -> None:
    """Neither ``name`` nor a folder on the way to it may be a link: whoever packed the environment has made those."""
    parts = Path(name).parts
    if os.path.isabs(name) or ".." in parts:
        raise ValueError(f"{what} leads out of the environment")
    place = folder
    for part in parts:
        place /= part
        if place.is_symlink():
            raise ValueError(f"{what} is to be reached by the link '{place.relative_to(folder)}'")


def _refuse_target_outside(folder: Path, target: str, member: tarfile.TarInfo) -> None:
    root = folder.resolve()
    if not Path(os.path.realpath(root / target)).is_relative_to(root):
        raise ValueError(f"'{member.name}' is a link to '{member.linkname}', out of the environment")
