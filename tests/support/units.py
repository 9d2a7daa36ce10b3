"""Programs started as systemd would start them: from the unit file itself, with its limits, mask and system calls.

What needs no root and no systemd is enforced by the same means that systemd uses: rlimits, the umask, no new
privileges, memory that is never both writable and executable, and a seccomp filter of the very list that
`systemd-analyze` spells out, loaded with libseccomp.
"""

import ctypes
import errno
import os
import resource
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN = 38, 65, 1
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_FORMER = "/opt/haumaru/current/bin"


class Unit:
    """A unit file, its settings by name in their order."""

    def __init__(self, path: Path) -> None:
        self.settings: dict[str, list[str]] = defaultdict(list)
        for line in path.read_text().splitlines():
            if "=" in line and not line.startswith(("#", "[")):
                name, _, value = line.partition("=")
                self.settings[name].append(value)

    def one(self, name: str) -> str:
        (value,) = self.settings[name]
        return value

    def command(self, programs: Path, config: Path) -> list[str]:
        """ExecStart=, with the program and the configuration where this machine has them."""
        words = self.one("ExecStart").replace(_FORMER, str(programs)).replace("/etc/haumaru/haumaru.toml", str(config))
        return words.split()

    def system_calls(self) -> set[str]:
        """What SystemCallFilter= allows, as `systemd-analyze` spells each group out."""
        allowed: set[str] = set()
        for value in self.settings["SystemCallFilter"]:
            names = {call for name in value.lstrip("~").split() for call in _spelt_out(name)}
            allowed = allowed - names if value.startswith("~") else allowed | names
        return allowed | _spelt_out("@default")

    def rules(self, *, files: int = 1024) -> Callable[[], None]:
        """What a process does before it becomes the unit's program; `files` it may open where the unit does not say."""
        mask, files = int(self.one("UMask"), 8), int((self.settings["LimitNOFILE"] or [str(files)])[0])
        core = int(self.one("LimitCORE"))
        libc, filters = ctypes.CDLL(None, use_errno=True), _filter(self.system_calls())

        def enter() -> None:
            os.umask(mask)
            resource.setrlimit(resource.RLIMIT_CORE, (core, core))
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            _must(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
            if self.one("MemoryDenyWriteExecute") == "yes":
                libc.prctl(_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)  # kernels before 6.3 do not know it
            filters()

        return enter

    @contextmanager
    def started(self, programs: Path, config: Path, log: Path) -> Iterator[subprocess.Popen]:
        """The unit's process, ended as systemd ends it: SIGTERM, and after a while SIGKILL."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(programs, config),
                cwd=config.parent,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=self.rules(),  # noqa: PLW1509  # the tests have no threads of their own
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _spelt_out(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True, check=True
    )
    words = {line.strip() for line in done.stdout.splitlines() if line.startswith(" ") and "#" not in line}
    assert words, name
    return {call for word in words for call in (_spelt_out(word) if word.startswith("@") else {word})}


def _filter(allowed: set[str]):
    """A function that loads a filter which answers EPERM to every other system call (seccomp_load(3))."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(_ERRNO | errno.EPERM))
    numbers = [seccomp.seccomp_syscall_resolve_name(name.encode()) for name in allowed]
    known = [number for number in numbers if number >= 0]
    assert len(known) > 100
    for number in known:
        _must(seccomp.seccomp_rule_add_array(context, _ALLOW, number, 0, None))
    return lambda: _must(seccomp.seccomp_load(context))


def _must(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno() or -result)
