"""The house's structure: floors, strangers, empty `__init__`s, docstrings, routes, locks."""

import ast
import re
import subprocess

import pytest

from app.site import demo, factory
from app.site.config import load_config
from tests.support.paths import BIN, ROOT

MODULES = sorted(path for path in (ROOT / "app").rglob("*.py") if path.name != "__init__.py")
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
PAGES = set(
    "help self-check signs what-is-trafficking law response plan contact anonymity privacy accessibility about sheets"
    " report reply".split()
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


def test_every_package_is_opened_by_nothing():
    """The `__init__` modules are empty: importing a room runs nothing."""
    inits = list((ROOT / "app").rglob("__init__.py"))
    assert len(inits) >= 7
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
    app = factory.create_site_app(factory.prerender_site(settings))
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
        "POST /<lang>/report",
        "POST /<lang>/reply",
        "GET /<lang>/sheets/<name>.pdf",
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
