"""Ends the children of a process together with it, on Windows, which has no groups of processes."""

from __future__ import annotations

import sys

__all__ = ["end_children_with_this_process"]

if sys.platform == "win32":
    import ctypes
    from ctypes import c_int64, c_size_t, c_uint32, c_uint64, c_void_p
    from typing import ClassVar

    _EXTENDED_LIMITS = 9
    _KILL_ON_JOB_CLOSE = 0x2000

    class _Limits(ctypes.Structure):
        """JOBOBJECT_EXTENDED_LIMIT_INFORMATION; only its flags are set."""

        _fields_: ClassVar = [
            ("times", c_int64 * 2),
            ("flags", c_uint32),
            ("working_set", c_size_t * 2),
            ("processes", c_uint32),
            ("affinity", c_size_t),
            ("classes", c_uint32 * 2),
            ("io", c_uint64 * 6),
            ("memory", c_size_t * 4),
        ]

    def end_children_with_this_process() -> None:
        """Let Windows end all later children as soon as this process ends, in whatever way.

        They are in a job that ends with its last handle. This process has the only one:
        https://learn.microsoft.com/en-us/windows/win32/procthread/job-objects. If that fails, a
        child ends by itself.
        """
        kernel = ctypes.WinDLL("kernel32")
        kernel.CreateJobObjectW.restype = kernel.GetCurrentProcess.restype = c_void_p
        kernel.SetInformationJobObject.argtypes = [c_void_p, c_uint32, c_void_p, c_uint32]
        kernel.AssignProcessToJobObject.argtypes = [c_void_p, c_void_p]
        job = kernel.CreateJobObjectW(None, None)
        limits = _Limits(flags=_KILL_ON_JOB_CLOSE)
        size = ctypes.sizeof(limits)
        if job and kernel.SetInformationJobObject(
            job, _EXTENDED_LIMITS, ctypes.byref(limits), size
        ):
            kernel.AssignProcessToJobObject(job, kernel.GetCurrentProcess())

else:

    def end_children_with_this_process() -> None:
        """Do nothing: elsewhere the process leads a group, which is killed as a whole."""
