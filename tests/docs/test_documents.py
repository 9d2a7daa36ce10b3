"""What the documents name exists: paths, tests, commands, links; and what the editors' and reviewers' files call."""

import re
import subprocess
import sys
import textwrap
import tomllib
from urllib.parse import unquote

import click
import pytest
import yaml

from app.desk import cli as desk_cli
from app.site import cli as site_cli
from tests.support.paths import BIN, ROOT

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "deploy/*.md", ".github/*.md", "translations/glossary/*.md")
    for path in ROOT.glob(pattern)
)
# The changelog also names what is gone.
PRESENT = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]
# The folders whose paths a document may name; `app/…` in a server's site-packages is the same path.
PATH = re.compile(r"(?<![\w./-])((?:app|tests|bench|content|deploy|docs|translations|\.ci)/[\w./*@-]*\w)")
TEST = re.compile(r"`(test_\w+)`")
TARGET = re.compile(r"(?:`|^|\s)(?:[A-Z]+=\S+ )?make ([a-z][a-z-]+)(?=`|\s|$|[.,;:)])", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def ids(path):
    return str(path.relative_to(ROOT))


def text_of(path):
    """The document without what is a placeholder: `content/<lang>/…`, `FILE`, `X`."""
    return re.sub(r"[\w./-]*<[^>\n]+>[\w./*-]*", "", path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def names_of_tests():
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= {path.stem, *re.findall(r"^\s*def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)}
    return found


@pytest.mark.parametrize("path", PRESENT, ids=ids)
def test_every_path_that_a_document_names_exists(path):
    """A file that was moved is found by its new name in every document."""
    missing = [name for name in PATH.findall(text_of(path)) if not list(ROOT.glob(name))]
    assert missing == [], "write the path as it is now"


@pytest.mark.parametrize("path", PRESENT, ids=ids)
def test_every_test_that_a_document_names_exists(path, names_of_tests):
    """A claim names a test module or a test that is there."""
    assert [name for name in TEST.findall(text_of(path)) if name not in names_of_tests] == []


def test_each_attack_that_once_worked_has_a_test_that_runs_it_again():
    """Each row of the threat model's table of attacks says what came of the attack before and now, and names a test."""
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    section = text.partition("\n## Attacks that once worked\n")[2].partition("\n## ")[0]
    head, _, *rows = [line for line in section.splitlines() if line.startswith("|")]
    assert head == "| attack | before | now | test |"
    for row in rows:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
        assert len(cells) == 4
        assert all(cells), row
        assert TEST.findall(cells[3]), f"{row}: name the test in backticks"


@pytest.mark.parametrize("path", PRESENT, ids=ids)
def test_every_make_target_that_a_document_names_exists(path):
    """A command that a reader is told to type is there; the changelog alone may name what is gone."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = " ".join(re.findall(r"`[^`]+`|```.*?```", text_of(path), re.DOTALL))
    assert [name for name in TARGET.findall(code) if name not in targets] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_every_link_within_the_repository_leads_somewhere(path):
    """Each relative link names a file that exists, and where it names a heading, a heading of that file."""
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" in link or link.startswith(("mailto:", "../blob/")) or re.match(r"(page|contact|safety):", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = path.parent / name if name else path
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, link


def commands_of(group, name):
    for command in group.commands.values():
        yield f"{name} {command.name}"
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{name} {command.name}")


def test_every_command_is_in_the_changelog():
    """Each command of both programs stands in CHANGELOG.md, where an operator looks for what there is."""
    text = " ".join((ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split())
    every = [*commands_of(site_cli.cli, "haumaru"), *commands_of(desk_cli.cli, "haumaru-desk")]
    assert len(every) >= 14
    assert [name for name in every if not re.search(rf"`{name}(?: [^`]*)?`", text)] == []


def test_unreleased_says_what_changed():
    """The changelog has an entry for what is not released yet."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    unreleased = text.partition("## [Unreleased]")[2].partition(f"## [{version}]")[0]
    assert unreleased.count("\n- ") >= 1


def test_a_commit_is_checked_by_what_make_lint_calls():
    """The hooks before a commit call programs of .venv that `make lint` calls too, and fetch nothing."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    lint = (ROOT / "Makefile").read_text()
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    for hook in hooks["repos"][0]["hooks"]:
        program = hook["entry"].split()[0]
        assert hook["language"] == "system"
        assert (ROOT / program).exists()
        assert f"$(BIN)/{program.rpartition('/')[2]}" in lint


def test_the_workflow_runs_what_anybody_runs_at_home():
    """The hosted check calls `.ci/run` and nothing else of ours, with the right to read alone."""
    (path,) = (ROOT / ".github" / "workflows").iterdir()
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["run"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}
    for step in steps:
        assert re.fullmatch(r"actions/checkout@v\d+", step.get("uses", "actions/checkout@v4"))


def test_the_issue_forms_are_forms():
    """Each issue form parses, and asks something."""
    forms = list((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yaml"))
    assert forms
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= form.keys()
        assert any(part["type"] != "markdown" for part in form["body"])


def test_the_proof_of_the_key_ceremony_works_as_it_is_written(tmp_path):
    """The program in docs/key-ceremony.md seals a tip to the recipient, and `haumaru-desk open` opens that tip."""
    text = (ROOT / "docs" / "key-ceremony.md").read_text(encoding="utf-8")
    (proof,) = re.findall(r"^ *python - <<'EOF'\n(.*?)^ *EOF$", text, re.MULTILINE | re.DOTALL)
    identity = tmp_path / "identity.txt"
    keygen = [BIN / "haumaru-desk", "keygen", "-o", identity, "--no-passphrase"]
    (tmp_path / "recipient.txt").write_bytes(subprocess.run(keygen, check=True, capture_output=True).stdout)
    subprocess.run([sys.executable, "-c", textwrap.dedent(proof)], cwd=tmp_path, check=True)
    (envelope,) = tmp_path.glob("*.age")
    opened = subprocess.run(
        [BIN / "haumaru-desk", "open", envelope, "-i", identity], check=True, capture_output=True, text=True
    )
    assert "the ceremony" in opened.stdout
    assert opened.stdout.count("\n") == 1
