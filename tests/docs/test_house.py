"""The structure of the program: rooms, imports, names and their words, sizes, docstrings, routes, locks."""

import ast
import re
import subprocess
from collections import defaultdict

import pytest

from app.site import demo, factory
from app.site.config import load_config
from app.web.middleware import BodyRoom
from tests.support.paths import BIN, ROOT
from tests.support.phrases import phrases

MODULES = sorted(path for path in (ROOT / "app").rglob("*.py") if path.name != "__init__.py")
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
TREES = {path.relative_to(ROOT / "app"): ast.parse(path.read_text()) for path in MODULES}
LONGEST, SHORTEST, SCREEN = 350, 50, 40
# Modules under 50 lines, each with the reason why its lines stand in no other module.
SHORT_MODULES = {
    "files/previews.py": "small pictures for pictures, papers and films, of which none loads the codecs of another",
    "core/resources.py": "one path, which modules of five folders need",
    "desk/romanised_hindi.py": "one table of letters, which only the guess of a language needs",
    "desk/terminal.py": "what strangers wrote, made safe for a terminal: commands, exports and unpacked files need it",
    "site/preload.py": "what is read at start spans guide, report and text: no other module knows all three",
}
# Each program may have one module of each of these names; core has the errors that both share.
NAMES_OF_BOTH = {"cli", "config", "factory", "errors", "views", "web"}
# Plain English words that a name may hold beside the terms of docs/house.md.
GLUE = set("already at by first for from guess haumaru i n in new next of on one other soon text to too".split())
PAGES = set(
    "help visa self-check signs what-is-trafficking law response plan contact anonymity privacy accessibility about"
    " sheets report reply outcomes".split()
)


def test_the_contracts_of_the_house_hold():
    """No import goes up a floor, between strangers, in a circle, or from the public side to what opens tips."""
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_a_broken_contract_would_be_seen(tmp_path):
    """An import from the site to `age_open` breaks the contracts of the house: the check can fail."""
    subprocess.run(["cp", "-r", ROOT / "app", ROOT / "pyproject.toml", tmp_path], check=True)
    status = tmp_path / "app" / "site" / "status.py"
    status.write_text(status.read_text() + "\nfrom app.vault import age_open\n")
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache", "--no-logo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "BROKEN" in done.stdout


def test_no_import_of_ours_needs_another_name():
    """No module of the program imports another with `as`: each name stands for one thing."""
    found = [
        f"{path}: {alias.name} as {alias.asname}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app")) or isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname and (isinstance(node, ast.ImportFrom) or alias.name.startswith("app"))
    ]
    assert found == []


def test_no_test_imports_another():
    """What two test files share is in tests/support or in a conftest.py, never in one of the two."""
    found = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in (ROOT / "tests").rglob("*.py")
        if "node_modules" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and re.search(r"(^|\.)(test_|conftest)", node.module or "")
    ]
    assert found == []


def test_no_two_classes_have_one_name():
    """Each class of the program has a name of its own, private and nested ones too."""
    homes = defaultdict(list)
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(path))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_two_modules_have_one_name():
    """Only what each program has bears one name twice, and a page of the desk the name of what it shows."""
    homes = defaultdict(list)
    for path in TREES:
        homes[path.stem].append(path)
    twice = {name: paths for name, paths in homes.items() if len(paths) > 1}
    for name in NAMES_OF_BOTH & twice.keys():
        programs = [path.parts[0] for path in twice.pop(name)]
        assert len(programs) == len(set(programs)), f"{name} stands twice in one room"
        assert set(programs) <= ({"site", "desk", "core"} if name == "errors" else {"site", "desk"}), name
    for name, paths in twice.items():
        assert [str(path.parent) for path in paths] == ["desk", "desk/web"], f"{name} stands twice: {paths}"


def test_no_module_is_too_long_or_too_short():
    """No module is longer than 350 lines, and one under 50 lines has a reason."""
    lengths = {str(path): len((ROOT / "app" / path).read_text().splitlines()) for path in TREES}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}
    assert {path for path, length in lengths.items() if length < SHORTEST} == SHORT_MODULES.keys()


def test_every_function_fits_a_screen():
    """No function is longer than 40 lines; ruff bounds how many branches one may have."""
    found = [
        f"{path}: {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= SCREEN
    ]
    assert found == []


def test_names_use_the_words_of_their_room():
    """Modules, packages and public classes are named with the terms that docs/house.md gives their room."""
    terms = room_terms()
    found = []
    for path, tree in TREES.items():
        room = path.parts[0]
        allowed = {_singular(word) for word in terms["every room"] | terms[room] | GLUE}
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
        for name in (*path.parts[1:-1], path.stem, *classes):
            odd = [word for word in split_name(name) if _singular(word) not in allowed]
            found += [f"{path}: {name}: {word}" for word in odd]
    advice = "use a term that docs/house.md has for the room, or add the term to the room's table with its meaning"
    assert not found, "\n".join((advice, *found))


def test_the_word_test_can_fail():
    """A word that no table has is found in a name, in each way of writing one."""
    assert split_name("ReplyStore") == ["reply", "store"]
    assert split_name("reply_store") == ["reply", "store"]
    assert split_name("PDFWriter") == ["pdf", "writer"]
    assert "shutter" not in room_terms()["core"] | GLUE
    rooms = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}
    assert room_terms().keys() == {"every room", *rooms}


def room_terms():
    """The words of the tables below "Words" in docs/house.md, by room."""
    sections = (ROOT / "docs" / "house.md").read_text().partition("\n## Words\n")[2].split("\n### ")[1:]
    terms = {}
    for section in sections:
        room, _, table = section.partition("\n")
        rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
        terms[room.strip()] = {word.lower() for row in rows[2:] for word in re.findall(r"[A-Za-z0-9]+", row)}
    return terms


def split_name(name):
    """The words of a name in CamelCase or snake_case, in small letters."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+[0-9]*[a-z]*", name)
    return [word.lower() for word in words]


def _singular(word):
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def test_every_package_is_opened_by_nothing():
    """The `__init__` modules are empty: importing a room runs nothing."""
    inits = list((ROOT / "app").rglob("__init__.py"))
    assert len(inits) >= 8
    assert [path for path in inits if path.read_text()] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path):
    """Each module begins with a docstring, and does no work when it is imported."""
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "begin it with what it promises and refuses"
    for node in tree.body:
        assert not isinstance(node, ast.While | ast.With | ast.Try), f"line {node.lineno} works at import"


def test_every_test_says_its_behaviour_in_a_sentence():
    """Each test's docstring is a sentence."""
    assert TESTS
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = ast.get_docstring(node) or ""
                assert re.match(r"[A-Z`0-9“\"'/].{10,}", words, re.DOTALL), f"{path.name}: {node.name} says nothing"
                assert words.rstrip().endswith((".", "?", ")")), f"{path.name}: {node.name}: no sentence"


def test_the_locks_hold_hashes_and_no_address():
    """Both locks pin every package by hash and name no place to fetch it from."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert text.count("--hash=sha256:") >= text.count("==") > 40
        assert "://" not in text
    assert "resolved" not in (ROOT / "tests" / "tools" / "package-lock.json").read_text()


def test_the_route_list_is_the_contract_s(tmp_path):
    """The site answers at the contract's addresses and at no other."""
    settings = load_config(demo.prepare_folder(tmp_path / "demo"), {})
    app = factory.create_site_app(factory.prerender_site(settings, phrases=phrases()), BodyRoom(threads=4, memory=0))
    rules = {
        f"{method} {rule.rule.replace('<lang:lang>', '<lang>')}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    pages = {rule for rule in rules if re.fullmatch(r"GET /<lang>/[a-z-]+", rule)}
    assert {rule.rpartition("/")[2] for rule in pages} == PAGES
    assert rules - pages == {
        "GET /",
        "GET /<lang>/",
        "GET /<lang>/plan/actions",
        "POST /<lang>/report",
        "POST /<lang>/reply",
        "GET /<lang>/sheets/<name>.pdf",
        "GET /<lang>/audio/<slug>.mp3",
        "GET /sheets.zip",
        "GET /plan.csv",
        "GET /plan.json",
        "POST /go",
        "POST /agency/replies",
        "GET /healthz",
        "GET /robots.txt",
        "GET /sitemap.xml",
        "GET /.well-known/security.txt",
        "GET /keys.txt",
    }
