"""`make release-check`: everything that a release promises, tried; what is published goes to dist/.

One version everywhere; a wheel that anybody builds from the same commit to the same bytes; that wheel installed from
the lock file alone and run as the public side runs it; a list of what is in it (CycloneDX), and of every licence. Both
lock files are compared with the published faults of their packages, where that database can be reached.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

import images

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
DIST = ROOT / "dist"
LICENCES = ROOT / "docs" / "licences.md"
LOCK = ROOT / "requirements.lock"
LOCKS = (LOCK, ROOT / "requirements-dev.lock")
# The database of published faults (https://osv.dev) that `uv audit` asks.
FAULTS = "https://api.osv.dev/"

# Licences under which what we depend on may come, by SPDX name; a licence that is not here is a fault.
FITTING = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MIT-0", "0BSD", "MIT-CMU", "PSF-2.0", "MPL-2.0",
    "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later",
}  # fmt: skip
# What packages call them where they have no SPDX expression.
CALLED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
}
# Read by hand: what the package's own words leave open, or libraries that its wheel brings along.
READ = {
    "async-timeout": ("Apache-2.0", "only for Python before 3.11.3"),
    "tzdata": ("Apache-2.0", "only on Windows"),
    "pypdfium2": ("Apache-2.0 OR BSD-3-Clause", "brings PDFium (BSD-3-Clause, Apache-2.0)"),
    "pi-heif": ("BSD-3-Clause", "brings libheif and libde265 (LGPL-3.0-or-later), decoders only"),
    "av": (
        "BSD-3-Clause",
        "brings FFmpeg (LGPL-3.0-or-later), x264 (GPL-2.0-or-later), which encodes films, and x265 (never called)",
    ),
    "psycopg-binary": ("LGPL-3.0-only", "brings libpq (PostgreSQL), OpenSSL (Apache-2.0), Kerberos (MIT)"),
    "pillow": ("MIT-CMU", "brings libjpeg-turbo, libpng, libtiff, libwebp, OpenJPEG, lcms2 and others, all permissive"),
    "numpy": (
        "BSD-3-Clause",
        "brings OpenBLAS (BSD-3-Clause) and the runtime library of GCC (GPL-3.0 with its exception)",
    ),
    "opencv-python-headless": (
        "Apache-2.0",
        "brings OpenCV (Apache-2.0), FFmpeg (LGPL-2.1-or-later), OpenBLAS (BSD-3-Clause) and others, all permissive",
    ),
    "pikepdf": ("MPL-2.0", "brings QPDF (Apache-2.0)"),
    "typst": ("Apache-2.0", "brings the Typst compiler (Apache-2.0)"),
    "fido2": ("BSD-2-Clause", "brings code of pyu2f (Apache-2.0) and the Public Suffix List (MPL-2.0)"),
    "lxml": ("BSD-3-Clause", "brings libxml2 and libxslt (MIT)"),
}
_HEAD = """\
# The licences of the packages that Haumaru uses

`make release-check` writes this page from the lock file and each package's own metadata. A licence that is not in
`deploy/release.py`'s list is a fault. Haumaru itself has Apache-2.0; its texts and sheets have CC-BY-4.0; the
Noto fonts in `app/site/guide/fonts/` have OFL-1.1; Droid Sans Fallback in `app/files/fonts/` has Apache-2.0; the
face detector CenterFace in `app/files/models/` and the word lists of BIP-39 in `app/delivery/` have MIT.
The names in `content/en/identity.toml` have CC-BY-4.0 (Internal Affairs); some in Hindi's have MIT (Faker).
The recordings of pages have the licence of their texts: espeak-ng (GPL-3.0-or-later) made them, and
is no part of them.
The names in `app/desk/names.toml` are from the US Census of 2010 and US Social Security (public domain), and from
Faker and jieba (MIT: Daniele Faraglia and contributors; Sun Junyi). Ordinary words were taken out of the list with
SCOWL's, of which the list holds nothing.
The passphrases in `app/desk/common_passphrases.txt` are from SecLists (MIT: Daniel Miessler); Mark Burnett, who counted
them, gave his list to the public domain.
`dist/*.cdx.json` lists the packages with which a release was checked.

Our wheel contains none of the packages below. If you give somebody an image, you give them these packages too. The GPL
libraries in `av`'s wheel put such an image as a whole under GPL-3.0-or-later, which is compatible with Apache-2.0.
Offer the source of these libraries with the image.

| package | version | licence | |
| --- | --- | --- | --- |
"""
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.*?))?(?: \\)?$")


def fail(words: str) -> None:
    """End with one line."""
    sys.exit(f"haumaru: {words}")


def version() -> str:
    """The one place in which the version stands."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def places_of_the_version(wanted: str) -> list[str]:
    """Where the version is missing that should say it."""
    expected = {
        "CHANGELOG.md": rf"^## \[{re.escape(wanted)}\] - \d{{4}}-\d\d-\d\d$",
        "deploy/compose/compose.yaml": rf"image: haumaru:{re.escape(wanted)}$",
        "deploy/README.md": rf"haumaru-{re.escape(wanted)}-py3-none-any\.whl",
    }
    return [name for name, said in expected.items() if not re.search(said, (ROOT / name).read_text(), re.MULTILINE)]


def build(tree: Path, out: Path, epoch: str) -> Path:
    """The wheel of a tree."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "TZ": "UTC"}
    command = [BIN / "python", "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    subprocess.run(command, cwd=tree, env=env, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    return wheel


def build_twice(folder: Path, tree_of: str = "HEAD") -> Path:
    """The wheel, built from two copies of a commit in two places and under two masks; ends where their bytes differ."""
    epoch = subprocess.run(
        ["git", "log", "-1", "--format=%ct", tree_of], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    wheels = []
    for name, mask in (("one", 0o022), ("another-place", 0o077)):
        tree = folder / name
        tree.mkdir()
        archive = subprocess.run(["git", "archive", tree_of], cwd=ROOT, check=True, capture_output=True).stdout
        former = os.umask(mask)
        try:
            subprocess.run(["tar", "x", "-C", tree], input=archive, check=True)
            wheels.append(build(tree, folder / f"{name}-out", epoch))
        finally:
            os.umask(former)
    if wheels[0].read_bytes() != wheels[1].read_bytes():
        fail("the wheel is another each time it is built; compare the two with diffoscope")
    return wheels[0]


def missing_from(wheel: Path) -> list[str]:
    """What the wheel lacks of the pages, the catalogues and the templates."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "app", "content", "translations"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    wanted = {name if name.startswith("app/") else f"app/{name}" for name in tracked}
    return sorted(wanted - names)


def install(wheel: Path, folder: Path) -> Path:
    """A machine's own environment: the lock file, the wheel, and without the code that opens a tip. Its programs."""
    uv, python = BIN / "uv", folder / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, folder], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", python, "--require-hashes", "-r", LOCK], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", python, "--no-deps", wheel], check=True)
    (package,) = folder.glob("lib/python3*/site-packages/app")
    without_desk(package)
    return folder / "bin"


def without_desk(package: Path) -> None:
    """Leave the public side alone, as the image and the recipe do."""
    shutil.rmtree(package / "desk")
    (package / "vault" / "age_open.py").unlink()


def bill_of_materials(programs: Path, target: Path) -> int:
    """Write what an environment holds, as CycloneDX; how many components it has."""
    command = [BIN / "cyclonedx-py", "environment", "--pyproject", ROOT / "pyproject.toml", "--output-reproducible"]
    subprocess.run([*command, "-o", target, programs / "python"], check=True, capture_output=True)
    return len(json.loads(target.read_text())["components"])


def pinned() -> Iterator[tuple[str, str]]:
    """Each package of the lock file and its version."""
    for name, number, _ in pins(LOCK):
        yield name, number


def pins(lock: Path) -> Iterator[tuple[str, str, str]]:
    """Each package of a lock file, its version, and on which systems it is meant: a marker, or nothing."""
    for line in lock.read_text().splitlines():
        if found := _PINNED.match(line):
            yield found[1], found[2], found[3] or ""


def known_faults(lock: Path, service: str = FAULTS) -> list[str] | None:
    """The published faults of the packages of a lock file, a line for each; None where nobody could be asked."""
    found: list[str] = []
    asked = list(pins(lock))
    # A package that has a version for each of several systems is asked for once with each.
    while asked:
        batch = {name: number for name, number, _ in reversed(asked)}
        asked = [(name, number, marker) for name, number, marker in asked if batch[name] != number]
        faults = _faults_of(batch, service)
        if faults is None:
            return None
        found += faults
    return found


def _faults_of(packages: Mapping[str, str], service: str) -> list[str] | None:
    """The published faults of some packages, by `uv audit`, whose own kind of lock file is made here."""
    wanted = [f'{{ name = "{name}", specifier = "=={number}" }}' for name, number in packages.items()]
    source = 'source = { registry = "nowhere" }'  # a folder, so that no registry is asked
    locked = [f'[[package]]\nname = "{name}"\nversion = "{number}"\n{source}\n' for name, number in packages.items()]
    head = f'version = 1\nrequires-python = ">=3.11"\n[manifest]\nrequirements = [{", ".join(wanted)}]\n'
    listed = "".join(f'#   "{name}=={number}",\n' for name, number in packages.items())
    with TemporaryDirectory() as folder:
        script = Path(folder) / "locked.py"
        script.write_text(f'# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n{listed}# ]\n# ///\n')
        script.with_name("locked.py.lock").write_text("\n".join([head, *locked]))
        command = [BIN / "uv", "audit", "--frozen", "--script", script, "--service-url", service]
        options = ["--output-format", "json", "--preview-features", "audit-command,json-output"]
        done = subprocess.run([*command, *options], cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        return None
    report = json.loads(done.stdout)
    if report["summary"]["audited_packages"] != len(packages):
        return None
    return [
        f"{each['dependency']['name']} {each['dependency']['version']}: {each['display_id']}"
        for each in report["vulnerabilities"]
    ]


def licence(name: str) -> tuple[str, str]:
    """A package's licence as an SPDX expression, and what there is to say of it."""
    if name in READ:
        return READ[name]
    about = metadata.metadata(name)
    if expression := about.get("License-Expression"):
        return expression, ""
    classes = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or [] if line.startswith("License")]
    said = [CALLED.get(word, word) for word in classes or [about.get("License") or "?"]]
    return " AND ".join(said), ""


def unfitting(expression: str) -> list[str]:
    """Which parts of an expression are not in the list; of alternatives one is enough."""
    ways = [way.strip(" ()").split(" AND ") for way in expression.split(" OR ")]
    return min(([part for part in way if part.strip(" ()") not in FITTING] for way in ways), key=len)


def licence_list() -> str:
    """docs/licences.md."""
    rows = [(name, version, *licence(name)) for name, version in pinned()]
    lines = [f"| {name} | {number} | {spdx} | {remark} |" for name, number, spdx, remark in rows]
    return _HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Check everything, and leave the wheel, the list of what is in it and their sums in dist/."""
    number = version()
    if wrong := places_of_the_version(number):
        fail(f"version {number} is not said in {', '.join(wrong)}; write it there")
    if bad := [f"{name} ({licence(name)[0]})" for name, _ in pinned() if unfitting(licence(name)[0])]:
        fail(f"a licence that is not in the list: {', '.join(bad)}; read it, then add it or take another package")
    for lock in LOCKS:
        faults = known_faults(lock)
        if faults:
            fail(
                f"{lock.name} has packages with published faults: {', '.join(faults)}; take later ones, then make lock"
            )
        unasked = f"NOT compared with published faults, because {FAULTS} did not answer; run this again where it does"
        sys.stdout.write(f"{lock.name}: {unasked if faults is None else 'no published fault'}\n")
    LICENCES.write_text(licence_list())
    DIST.mkdir(exist_ok=True)
    with TemporaryDirectory() as place:
        folder = Path(place)
        wheel = build_twice(folder)
        if lacking := missing_from(wheel):
            fail(f"the wheel lacks {', '.join(lacking[:5])}; commit what is new")
        programs = install(wheel, folder / "machine")
        subprocess.run([programs / "haumaru", "build", "-o", folder / "sheets"], check=True, cwd=folder)
        count = bill_of_materials(programs, DIST / f"haumaru-{number}.cdx.json")
        shutil.copy(wheel, DIST)
    files = [DIST / wheel.name, DIST / f"haumaru-{number}.cdx.json", LOCK, ROOT / "Dockerfile"]
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (DIST / "SHA256SUMS").write_text(sums)
    sys.stdout.write(
        f"{number}: the wheel is the same from two builds, works alone, and stands on {count} packages\n{sums}"
    )
    # Last, so that all else is known where no registry of images can be reached.
    images.main([])


if __name__ == "__main__":
    main()
