"""How both programs run and end: hardened, and with lines on standard error instead of a traceback.

A wrong call exits with 2, a failure with 1; each fault of a configuration is one line. The programs print
only our own sentences and codes. An unforeseen exception is reported by its class and its place in our code, without
its message.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
import sys
import threading
from collections.abc import Set as AbstractSet

import click

from app.core.errors import ConfigError, HaumaruError
from app.core.log import place_of

_PR_SET_DUMPABLE = 4
# The number of sched_setattr(2) on each machine: glibc before 2.41 has no function for the call.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SLICE_NANOSECONDS = 10_000_000
# The numbers are those of malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX.
_MALLOC_PARAMETERS = {-1: 4 * 1024 * 1024, -3: 192 * 1024, -4: 65_536, -8: 2}


def run_program(group: click.Group, name: str) -> None:
    """Run the commands of a program, called `name` in messages, and exit; on a system other than Linux, exit with 1."""
    _require_linux(name)
    try:
        group.main(prog_name=name, standalone_mode=False)
    except click.UsageError as error:
        _print_error(name, f"{error.format_message().rstrip('.')}; see {name} --help")
        sys.exit(2)
    except ConfigError as error:
        for fault in error.faults:
            _print_error(name, fault)
        sys.exit(1)
    except HaumaruError as error:
        _print_error(name, f"{error.message.rstrip('.')}; the code is {error.code}")
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(1)
    except OSError as error:
        _print_error(
            name, f"the system refused ({os.strerror(error.errno) if error.errno else 'no reason'}); correct the cause"
        )
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  # a traceback could show secrets or a visitor's words
        _print_error(name, f"a fault of the program ({type(error).__name__} at {place_of(error)}); please report it")
        sys.exit(1)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set; no step is broken off, as it would be by an exception."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _require_linux(name: str) -> None:
    if sys.platform != "linux":
        _print_error(name, "runs on Linux only (prctl, fork, Landlock); use a Linux container or virtual machine")
        sys.exit(1)


def _print_error(name: str, words: str) -> None:
    click.echo(f"{name}: {words}", err=True)


def harden_process() -> None:
    """Forbid core dumps, and files that other users can read, for this process and its children."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A core dump that is piped to a program ignores the limit, but not this flag (prctl(2)).
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_open_file_limit(number: int) -> None:
    """Set how many files and connections may be open, as far as the system allows (setrlimit(2))."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        number = min(number, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))


def return_memory_at_once() -> None:
    """Return to the system freed blocks of 192 KiB and more, and what is free beyond 4 MiB at the end of two arenas.

    Otherwise a process keeps the memory of past large requests, and each thread its own arena. The buffers of an
    envelope (134 KiB) are kept, because fresh memory for each of them costs a thirtieth of a tip. Source: mallopt(3).
    """
    with contextlib.suppress(AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _MALLOC_PARAMETERS.items():
            mallopt(parameter, value)


def use_batch_scheduling() -> None:
    """Schedule this process as a batch process in slices of 10 ms, where the system allows it (sched(7)).

    A request passes through two threads. Under batch scheduling a thread that wakes does not interrupt the other one;
    such interruptions cost a tenth of the request rate. Linux knows slices of a process since 6.12.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        if number := _SCHED_SETATTR.get(platform.machine()):
            nice = os.getpriority(os.PRIO_PROCESS, 0)
            attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_BATCH, 0, nice, 0, _SLICE_NANOSECONDS, 0, 0)
            ctypes.CDLL(None).syscall(number, 0, attributes, 0)


def use_processors(processors: AbstractSet[int]) -> None:
    """Run this thread, and threads and processes that it starts, on these processors, where the system allows it."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, processors)
