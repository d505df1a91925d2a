"""Decides who may write to a cache. An artifact is native code, so a writer can run code here.

The rule: only users who can run code in this process anyway may write to the cache. These are root,
the user of this process, and two more:

- The owner of the home directory: Python, pip and git run what they find there. In a container job
  of GitHub, the job is root and the home directory belongs to another user.
- Users who can replace the project: a build runs the project's code. GitLab creates the project
  with mode 777, and its caches must lie inside the project.

`WAZCACHE_TRUST_DIR` names a folder to use in spite of the rule.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hatch_wazcache.util.environment import TRUST_DIR, read_variable

__all__ = ["Trust", "trusted_users"]


_CALLERS = ("SUDO_UID", "DOAS_USER", "PKEXEC_UID")
"""Variables in which sudo, doas and pkexec name the user who called them."""


class _Writers(NamedTuple):
    """Users who may write to the cache."""

    users: frozenset[int]
    groups: frozenset[int] = frozenset()
    everybody: bool = False


class Trust:
    """Decides whether a cache can be trusted."""

    def __init__(self, root: Path, project: Path | None = None) -> None:
        """Find out who may write to the cache.

        Args:
            root: the cache.
            project: the root of the project that is built; None if there is none.
        """
        self._root = root
        # Windows protects a user's profile by its own access list.
        self._applies = sys.platform != "win32" and not _is_trusted_by_name(root)
        self._writers = _writers(project) if self._applies else _Writers(frozenset())

    def problem(self) -> str | None:
        """Say why the cache cannot be trusted, as the end of a sentence; None if it can.

        Raises:
            OSError: the directory or its parents cannot be read.
        """
        if not self._applies:
            return None
        problem = self.problem_of(self._root) or self._problem_above()
        return self.with_advice(problem) if problem else None

    def with_advice(self, problem: str) -> str:
        """Add to a problem what a user can do who knows better."""
        return f"{problem}; if you trust it, set {TRUST_DIR}={self._root}"

    def problem_of(self, path: Path) -> str | None:
        """Say why a file or directory of the cache cannot be trusted; None if it can.

        Raises:
            OSError: it cannot be read.
        """
        if not self._applies or self._writers.everybody:
            return None
        status = path.stat()
        if status.st_uid not in self._writers.users:
            return f"belongs to another user (uid {status.st_uid})"
        may_group = status.st_gid in self._writers.groups
        if status.st_mode & (stat.S_IWOTH if may_group else stat.S_IWGRP | stat.S_IWOTH):
            return f"can be written by others (mode {stat.S_IMODE(status.st_mode):o}; chmod go-w)"
        return None

    def _problem_above(self) -> str | None:
        """Say who could replace the cache by renaming a folder above it."""
        if self._writers.everybody:
            return None
        for link in _links(self._root):
            owner = link.lstat().st_uid
            if owner not in self._writers.users:
                return f"could be replaced by another user, who owns the link {link} (uid {owner})"
        for parent in _parents(self._root):
            status = parent.stat()
            if status.st_uid not in self._writers.users:
                return f"could be replaced by another user, who owns {parent} (uid {status.st_uid})"
            if not status.st_mode & stat.S_ISVTX and not self._may_write(parent, status):
                mode = stat.S_IMODE(status.st_mode)
                return f"could be replaced by others, who can write {parent} (mode {mode:o})"
        return None

    def _may_write(self, folder: Path, status: os.stat_result) -> bool:
        """Say whether only trusted users can write to a folder. Its owner is checked elsewhere."""
        if status.st_mode & stat.S_IWOTH:
            return False
        if status.st_mode & stat.S_IWGRP and _has_access_list(folder):
            return False  # the mode shows the rights of all users in the list as the group's
        if not status.st_mode & stat.S_IWGRP or status.st_gid in self._writers.groups:
            return True
        return _members(status.st_gid) <= self._writers.users


def _is_trusted_by_name(root: Path) -> bool:
    """Say whether `WAZCACHE_TRUST_DIR` names the cache, or a folder above it."""
    named = read_variable(TRUST_DIR)
    if named is None:
        return False
    folder = os.path.realpath(os.path.expanduser(named))
    return Path(os.path.realpath(root)).is_relative_to(folder)


def trusted_users() -> set[int]:
    """Return the users who can run code in this process anyway; not for Windows."""
    users = {0, os.geteuid()}
    home = os.path.expanduser("~")
    # Under sudo, the home directory may belong to the user who called it, who is not trusted.
    is_called_by_another = any(name in os.environ for name in _CALLERS)
    if not is_called_by_another and os.path.isabs(home):
        with suppress(OSError):
            users.add(os.stat(home).st_uid)
    return users


def _writers(project: Path | None) -> _Writers:
    users = trusted_users()
    groups: set[int] = set()
    everybody = False
    for folder in (project, *_parents(project)) if project else ():
        status = folder.stat()
        users.add(status.st_uid)
        if status.st_mode & stat.S_ISVTX:
            continue  # the sticky bit: users can rename only their own files here
        if status.st_mode & stat.S_IWGRP:
            groups.add(status.st_gid)
        everybody = everybody or bool(status.st_mode & stat.S_IWOTH)
    return _Writers(frozenset(users), frozenset(groups), everybody)


def _parents(path: Path) -> dict[Path, None]:
    """Return the folders above a path, and above each link on the way to it."""
    paths = (path, path.resolve(), *_links(path))
    return dict.fromkeys(parent for one in paths for parent in one.parents)


def _links(path: Path) -> dict[Path, None]:
    """Return the symbolic links that the system follows on the way to a path."""
    links: dict[Path, None] = {}
    waiting = [path]
    while waiting:
        way = waiting.pop()
        for part in (way, *way.parents):
            if part not in links and part.is_symlink():
                links[part] = None
                waiting.append(part.parent / os.readlink(part))
    return links


def _has_access_list(path: Path) -> bool:
    """Say whether an access control list gives other users rights to a folder."""
    if sys.platform != "linux":
        return False
    with suppress(OSError):  # a file system without such lists
        return "system.posix_acl_access" in os.listxattr(path)
    return False


def _members(group: int) -> frozenset[int]:
    """Return the users of a group. -1 means that there may be unknown members.

    In a container, a user or group may have no name. A directory service such as LDAP answers
    for a single user or group, but need not list them all.
    """
    import grp
    import pwd

    users = pwd.getpwall()
    members = next((set(one.gr_mem) for one in grp.getgrall() if one.gr_gid == group), None)
    is_complete = (
        members is not None
        and members <= {user.pw_name for user in users}
        and os.geteuid() in {user.pw_uid for user in users}
    )
    if members is None or not is_complete:
        return frozenset({-1})
    return frozenset(
        user.pw_uid for user in users if user.pw_gid == group or user.pw_name in members
    )
