"""The frame of the pages of report and reply: rendered once in a language, without anything of a visitor."""

from collections import Counter

import jinja2
import pytest
from flask import current_app
from jinja2 import nodes

from app.core.resources import ROOT
from app.delivery.receipt_codes import new_code
from app.site.guide import page_frame
from app.site.guide.page_frame import PageFrame
from tests.support.visit import open_site

TEMPLATES = ROOT / "app" / "site" / "templates"
CANARY = "canary5e7a"


def fill(site, step, lang, **answers):
    """One step of the form as a person takes it: the form opened, filled in, and sent with a button."""
    token = site.get(f"/{lang}/report").document.one("input", name="csrf_token").attrs["value"]
    return site.post(f"/{lang}/report", {"csrf_token": token, "what": "typed with care", "step": step, **answers})


def html(answer):
    """The page as it was sent."""
    return answer.response.get_data(as_text=True)


def memory(frame):
    """How many frames, pieces, parts and addresses are kept."""
    return [len(kept) for kept in (frame._frames, frame._pieces, frame._parts, frame._addresses)]


@pytest.fixture
def rendered(monkeypatch):
    """How often each template was rendered by name, counted from now on."""
    counts, render = Counter(), jinja2.Template.render

    def counted(self, *args, **values):
        counts[self.name] += 1
        return render(self, *args, **values)

    monkeypatch.setattr(jinja2.Template, "render", counted)
    return counts


@pytest.fixture
def frames(monkeypatch):
    """Every frame that a site makes from now on."""
    made, init = [], PageFrame.__init__

    def noted(self, *args, **values):
        made.append(self)
        init(self, *args, **values)

    monkeypatch.setattr(PageFrame, "__init__", noted)
    return made


def test_the_frame_is_rendered_once_in_a_language(tmp_path, rendered):
    """Of twenty pages of the form in one language, all but the first find their frame rendered."""
    site = open_site(tmp_path, ("en", "to"), REPORT_MIN_FILL="0s")
    for lang in ("en", "to"):
        for _ in range(10):
            assert fill(site, "check", lang).status == 200
    assert rendered["report/check.html"] == 20
    assert rendered["report/blank_form.html"] == 2
    for part in ("take_out", "files", "send_or_edit"):
        assert rendered[f"report/{part}.html"] == 2


def test_a_part_that_is_kept_takes_no_text(tmp_path, frames, monkeypatch):
    """A template that hands a visitor's text to a part that is rendered once fails, and nothing is kept."""
    site, template = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s"), page_frame._template

    def faulty(name):
        wrong = "{{ once('report/phone.html', words=form.what.data) }}"
        return current_app.jinja_env.from_string(wrong) if name == "report/check.html" else template(name)

    monkeypatch.setattr(page_frame, "_template", faulty)
    assert fill(site, "check", "en").status == 500
    assert not any(frame._parts for frame in frames)


def test_the_two_journeys_share_no_part(tmp_path):
    """The look at an answer speaks of an answer in one language, after the look at a report was shown in it."""
    site = open_site(tmp_path, ("en",), REPORT_MIN_FILL="0s")
    assert "Go back and change my report" in html(fill(site, "check", "en"))
    token = site.get("/en/reply").document.one("input", name="csrf_token").attrs["value"]
    look = site.post("/en/reply", {"csrf_token": token, "code": new_code(), "what": "more words", "step": "answer"})
    assert "Go back and change my answer" in html(look)
    assert "Go back and change my report" not in html(look)


def test_nothing_of_a_visitor_stays_in_the_frame(tmp_path, frames):
    """What the first visitor of each page sends, by any way, is in no piece that later visitors get, nor in a page."""
    site = open_site(tmp_path, ("en", "hi"), REPORT_MIN_FILL="0s")
    by_every_way = {"User_Agent": CANARY, "Referer": f"http://127.0.0.1:8000/{CANARY}", "Cookie": f"y={CANARY}"}
    by_every_way |= {"Accept_Language": f"hi, {CANARY}", "X_Forwarded_For": CANARY, "Origin": CANARY}
    for lang in ("en", "hi"):
        site.get(f"/{lang}/report?{CANARY}={CANARY}", **by_every_way)
        for step in ("check", "send", "edit", CANARY):
            hidden = {"website": CANARY if step == "edit" else ""} | ({} if step == "send" else {"draft": CANARY})
            fill(site, step, lang, what=CANARY, where=CANARY, **hidden)
        site.post(f"/{lang}/reply", {"code": CANARY, "step": "read"}, **by_every_way)
        site.get(f"/{lang}/{CANARY}", **by_every_way)
    kept = [piece for frame in frames for pieces in frame._pieces.values() for piece in pieces]
    kept += [part for frame in frames for part in frame._parts.values()]
    assert len(kept) >= 4 * 2 * 3 + 3 * 2
    assert not any(CANARY in piece for piece in kept)
    assert not any(CANARY in repr(values) for frame in frames for values in frame._frames.items())
    for lang in ("en", "hi"):
        for answer in (site.get(f"/{lang}/report"), fill(site, "check", lang), site.get(f"/{lang}/reply")):
            assert CANARY not in html(answer)


def test_a_visitor_adds_no_frame(tmp_path, frames):
    """A hundred made-up addresses, queries and hosts leave as many frames and addresses in memory as there were."""
    site = open_site(tmp_path, ("en",))
    for path in ("/en/report", "/en/reply", "/en/nothing"):
        site.get(path)
    fill(site, "check", "en")
    sizes = [memory(frame) for frame in frames]
    for number in range(100):
        for path in (f"/en/nothing{number}", f"/en/report?{number}", f"/x{number}/report", f"/en/report/{number}"):
            site.get(path)
        site.post("/en/report", {"step": f"no{number}", "what": f"word {number}"})
        if number < 10:
            fill(site, "check", "en", what=f"word {number}", kinds=f"kind {number}")
    assert sizes == [memory(frame) for frame in frames]


def test_the_pieces_are_those_of_the_whole_frame(tmp_path):
    """The head, the menu and the footer of a page of the form are those of a page of guidance, in its language."""
    site = open_site(tmp_path, ("en", "hi", "to"))
    for lang in ("en", "hi", "to"):
        pages = [html(site.get(f"/{lang}/{name}")).replace(' aria-current="page"', "") for name in ("report", "visa")]
        for start, end in (("<style>", "</style>"), ("<footer>", "</footer>"), ('<form class="exit"', "</form>")):
            form, guidance = (page[page.index(start) : page.index(end)] for page in pages)
            assert form == guidance


def parse(name):
    """The template's syntax tree."""
    environment = jinja2.Environment(autoescape=True, extensions=["jinja2.ext.i18n"])
    return environment.parse((TEMPLATES / name).read_text())


def every_block(name):
    """The blocks of a template and of its parents."""
    tree = parse(name)
    parents = [every_block(extends.template.value) for extends in tree.find_all(nodes.Extends)]
    return {block.name for block in tree.find_all(nodes.Block)}.union(*parents)


@pytest.mark.parametrize("name", [str(path.relative_to(TEMPLATES)) for path in sorted(TEMPLATES.rglob("*.html"))])
def test_a_template_fills_only_blocks_that_its_frame_has(name):
    """A block that no parent has would be left out of the page without a word."""
    tree = parse(name)
    for extends in tree.find_all(nodes.Extends):
        filled = {node.name for node in tree.body if isinstance(node, nodes.Block)}
        left_out = filled - every_block(extends.template.value)
        assert not left_out, f"{name}: {left_out} would be left out; {extends.template.value} has no such block"
