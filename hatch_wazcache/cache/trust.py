"""Who may write to a cache: an artifact is native code, so only its owner may."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["distrust"]


def distrust(root: Path) -> str | None:
    """Say who else could put native code into the directory; None if only its owner can."""
    if sys.platform == "win32":
        return None  # the user's profile is protected by its own access list
    status = root.stat()
    if status.st_uid != os.geteuid():
        return f"belongs to another user (uid {status.st_uid})"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others (mode {stat.S_IMODE(status.st_mode):o}; chmod go-w)"
    for parent in dict.fromkeys((*root.parents, *root.resolve().parents)):
        status = parent.stat()
        if status.st_uid not in (0, os.geteuid()):
            return f"could be replaced by another user, who owns {parent} (uid {status.st_uid})"
        if not status.st_mode & stat.S_ISVTX and _others_can_write(status):
            mode = stat.S_IMODE(status.st_mode)
            return f"could be replaced by others, who can write {parent} (mode {mode:o})"
    return None


def _others_can_write(status: os.stat_result) -> bool:
    """Say whether another user can write. A group whose only member is this user is fine."""
    if status.st_mode & stat.S_IWOTH:
        return True
    if not status.st_mode & stat.S_IWGRP:
        return False
    import grp
    import pwd

    try:
        me = pwd.getpwuid(os.geteuid()).pw_name
        members = set(grp.getgrgid(status.st_gid).gr_mem)
    except KeyError:  # the group or the user has no name, so its members are unknown
        return True
    members |= {user.pw_name for user in pwd.getpwall() if user.pw_gid == status.st_gid}
    return not members <= {me, "root"}
