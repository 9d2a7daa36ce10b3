"""How both programs end: quietly, or with one line on standard error, never with a traceback.

A wrong call ends with 2, a failure with 1; a configuration's faults are one line each. What is printed
comes from our own sentences and codes: an unforeseen exception shows its kind and place, not its words.
"""

import contextlib
import ctypes
import os
import resource
import sys

import click

from app.core.errors import ConfigError, HaumaruError
from app.core.log import place_of

_PR_SET_DUMPABLE = 4


def run(group: click.Group, name: str) -> None:
    """Run a program's commands and exit; on another system than Linux, exit with one line."""
    _require_linux(name)
    try:
        group.main(prog_name=name, standalone_mode=False)
    except click.UsageError as error:
        _say(name, f"{error.format_message().rstrip('.')}; see {name} --help")
        sys.exit(2)
    except ConfigError as error:
        for fault in error.faults:
            _say(name, fault)
        sys.exit(1)
    except HaumaruError as error:
        _say(name, f"{error.message.rstrip('.')}; the code is {error.code}")
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(1)
    except OSError as error:
        _say(name, f"the system refused ({os.strerror(error.errno) if error.errno else 'no reason'}); mend that")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  # a traceback could show what it must not
        _say(name, f"a fault of the program ({type(error).__name__} at {place_of(error)}); please report it")
        sys.exit(1)


def _require_linux(name: str) -> None:
    if sys.platform != "linux":
        _say(name, "runs on Linux only (prctl, fork, Landlock); use a Linux container or virtual machine")
        sys.exit(1)


def _say(name: str, words: str) -> None:
    click.echo(f"{name}: {words}", err=True)


def close_the_shutters() -> None:
    """Leave no core dump and no file that others may read, from here on and in every child."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A core that is piped to a program ignores the limit; this stops it too (prctl(2)).
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def open_files(number: int) -> None:
    """Let this process have so many files and connections open, as far as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        number = min(number, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))


def work_in_turns() -> None:
    """Let the threads of this process finish before another takes their place, where the system allows it (sched(7)).

    A page passes through two threads; otherwise each that wakes cuts in on the other, which costs a tenth of the rate.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
