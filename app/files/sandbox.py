"""Locks the calling process, so that it can read and write its open files and compute, and nothing else.

`set_limits` comes first (memory, CPU, files, no core), then `lock_process`: Landlock without a single rule, and a
seccomp filter that allows a short list of system calls and answers EPERM to every other. Neither can be undone. Where
Landlock or seccomp is missing, `lock_process` raises OSError, and the caller must exit without reading a byte.
Sources: landlock(7), seccomp(2), prctl(2).
"""

import ctypes
import errno
import mmap
import os
import platform
import resource
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

MEMORY_BYTES: Final = 1024**3
CPU_SECONDS: Final = 20
OPEN_FILES: Final = 64

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
# All file rights that each version of Landlock's interface knows; the kernel refuses a right that it does not know.
_FILE_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
_LATEST_FILE_RIGHTS = 0xFFFF
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6

_ALLOWED = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
        "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "readv": 19,
        "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "getpid": 39, "exit": 60,
        "gettimeofday": 96, "sysinfo": 99, "sigaltstack": 131, "gettid": 186, "futex": 202,
        "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
        "clock_nanosleep": 230, "exit_group": 231, "getrandom": 318, "rseq": 334, "set_robust_list": 273, "clone": 56,
        "clone3": 435,
    },
    "aarch64": {
        "read": 63, "write": 64, "close": 57, "fstat": 80, "ppoll": 73, "lseek": 62, "mmap": 222,
        "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135,
        "rt_sigreturn": 139, "readv": 65, "writev": 66, "sched_yield": 124, "mremap": 216, "madvise": 233,
        "getpid": 172, "exit": 93, "gettimeofday": 169, "sysinfo": 179, "sigaltstack": 132, "gettid": 178,
        "futex": 98, "sched_getaffinity": 123, "restart_syscall": 128, "clock_gettime": 113,
        "clock_getres": 114, "clock_nanosleep": 115, "exit_group": 94, "getrandom": 278, "rseq": 293,
        "set_robust_list": 99, "clone": 220, "clone3": 435,
    },
}  # fmt: skip
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_RET_KILL, _RET_ERRNO, _RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT, _THIRD_ARGUMENT_AT = 0, 4, 16, 32
_PROT_EXEC, _CLONE_THREAD = 4, 0x10000


def set_limits(cpu_seconds: int = CPU_SECONDS) -> None:
    """Set hard limits: 1 GiB of address space, CPU time, 64 open files, no byte written to a file, no core."""
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    # A core limit of 0 does not stop a core handler behind a pipe (core(5)); a process that is not dumpable has none.
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def lock_process() -> None:
    """Deny this process files, sockets, processes and signals; OSError where Landlock or seccomp is missing."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    restrict_with_landlock()
    restrict_with_seccomp()


def restrict_with_landlock() -> None:
    """Deny every access that this kernel's Landlock version can deny; OSError without Landlock (landlock(7))."""
    version = _call(_LANDLOCK_CREATE, None, 0, 1)
    ruleset = struct.pack(
        "=QQQ",
        _FILE_RIGHTS.get(version, _LATEST_FILE_RIGHTS),
        3 if version >= _NETWORK_SINCE else 0,
        3 if version >= _SCOPES_SINCE else 0,
    )
    ruleset_fd = _call(_LANDLOCK_CREATE, ruleset, len(ruleset), 0)
    try:
        _call(_LANDLOCK_RESTRICT, ruleset_fd, 0)
    finally:
        os.close(ruleset_fd)


def restrict_with_seccomp() -> None:
    """Filter the system calls of every thread; OSError on an architecture without a table here (seccomp(2))."""
    machine = platform.machine()
    if machine not in _ALLOWED or sys.maxsize < 2**32:
        raise OSError("no system call table for this machine")
    program = _bpf_filter(_AUDIT_ARCH[machine], _ALLOWED[machine])
    code = ctypes.create_string_buffer(program)
    filter_program = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _call(_SECCOMP[machine], _SET_MODE_FILTER, _FLAG_TSYNC, filter_program)


def _bpf_filter(arch: int, allowed: dict[str, int]) -> bytes:
    """Return the filter as classic BPF.

    Another architecture kills the process; mmap, mprotect and clone are judged by an argument, all others by number.
    """
    head = [(_LOAD, 0, 0, _ARCH_AT), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _RET_KILL), (_LOAD, 0, 0, _NUMBER_AT)]
    refuse, allow = (_RETURN, 0, 0, _RET_ERRNO | errno.EPERM), (_RETURN, 0, 0, _RET_ALLOW)
    # These steps follow the comparisons; a comparison that is true jumps to one of them.
    tail = [
        refuse,
        *((_LOAD, 0, 0, _THIRD_ARGUMENT_AT), (_ANY_BIT, 0, 1, _PROT_EXEC), refuse, allow),
        *((_LOAD, 0, 0, _FIRST_ARGUMENT_AT), (_ANY_BIT, 0, 1, _CLONE_THREAD), allow, refuse),
        (_RETURN, 0, 0, _RET_ERRNO | errno.ENOSYS),
    ]
    # Memory never becomes executable. A thread may start, a process may not. The flags of clone3 are behind a pointer,
    # where no filter can look, so clone3 answers ENOSYS and libc falls back to clone.
    jumps = {"mmap": 1, "mprotect": 1, "clone": 5, "clone3": 9}
    checks = [
        (_EQUAL, len(allowed) - 1 - index + jumps.get(name, 4), 0, number)
        for index, (name, number) in enumerate(allowed.items())
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in (*head, *checks, *tail))


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


# What the probe tries from inside; each attempt must work before `lock_process` and fail after it.
ATTEMPTS: Final[dict[str, Callable[[], object]]] = {
    "read a file": lambda: os.open("/proc/self/stat", os.O_RDONLY),
    "write a file": lambda: os.open("/dev/null", os.O_WRONLY),
    "list a folder": lambda: os.scandir("/"),
    "open a network socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "start a process": _fork,
    "run a program": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - it must be refused
    "signal a process": lambda: os.kill(os.getppid(), 0),
    "make code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
}


def denied_attempts() -> tuple[str, ...]:
    """Return the names of the `ATTEMPTS` that the system refuses to this process."""
    refused = []
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
        except OSError:
            refused.append(name)
    return tuple(refused)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), "prctl")


def _call(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        raise OSError(ctypes.get_errno(), "system call refused")
    return result
