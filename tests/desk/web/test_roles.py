"""Roles: one table decides for every address of the desk, and a translator reads only what a translator may."""

import re
from dataclasses import replace

import pytest

from app.desk.seat import Role
from app.desk.web.roles import ENDPOINT_ROLES
from tests.support.desk import Browser, Office, jpeg, receive, reply_to, tip
from tests.support.seats import SeatedDesk

WORDS = "packhouse behind which Moana sleeps"
SECRET = "Moana"
NOT_ALLOWED = "Your seat may not do this"


@pytest.fixture
def seated(desk):
    return SeatedDesk(desk)


@pytest.fixture
def one(office, desk):
    made = tip({"what": f"The {WORDS}.", "where": "Katikati"}, files=(jpeg(),), reply=reply_to())
    return desk.cases.get(drop(office, desk, made))


def drop(office, desk, made):
    office.drop(made)
    receive(desk)
    return made.id


def rules(app):
    """Every address of an application with its method, its arguments filled in."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield rule.endpoint, method, rule


def address(rule, tip_id="0" * 26):
    """The path of a rule, for one tip."""
    path = rule.rule.replace("<tip>", tip_id)
    return re.sub(r"<int:\w+>", "1", re.sub(r"<(?!int:)\w+>", "x", path))


def test_every_address_has_a_row(desk, seated):
    """Each endpoint of both kinds of desk stands in the table of roles, and no row stands for nothing."""
    seated = {endpoint for endpoint, _, _ in rules(seated.app)} - seated.sessions.entrances
    loopback = {endpoint for endpoint, _, _ in rules(Browser(desk).app)}
    assert (seated | loopback) - ENDPOINT_ROLES.keys() == set(), "write a row for these in app/desk/web/roles.py"
    assert ENDPOINT_ROLES.keys() - (seated | loopback) == set()
    assert not any(name.startswith(("seats.", "sign_in.", "translation.")) for name in loopback)


@pytest.mark.parametrize("role", Role)
def test_each_role_gets_its_rows_and_no_others(seated, role):
    """For each address, the roles of its row are let in and every other role is refused."""
    kaia = seated.person("Kaia")
    person = kaia if role is Role.SUPERVISOR else seated.person("Tui", role, kaia.seat)
    ending = {"session.lock", "seats.end_all"}
    checked = 0
    for endpoint, method, rule in rules(seated.app):
        if endpoint in seated.sessions.entrances or endpoint in ending:
            continue
        answer = person.get(address(rule)) if method == "GET" else person.post(address(rule))
        is_refused = answer.status_code == 403 and NOT_ALLOWED in answer.text
        if endpoint == "queue.show":  # the bare address leads to the first page of each role
            is_refused = answer.location in {"/translate", "/figures"}
        assert is_refused is (role not in ENDPOINT_ROLES[endpoint]), (endpoint, method, answer.status_code)
        checked += 1
    assert checked > 50


def test_a_desk_that_opens_its_store_is_stopped_by_staff_alone(seated, desk):
    """While the desk opens its tips, each role sees how far it is, and only people who work on tips can stop it."""
    kaia = seated.person("Kaia")
    tui = seated.person("Tui", Role.TRANSLATOR, kaia.seat)
    desk.loading.ended = False
    assert "Stop</button>" in kaia.get("/").text
    page = tui.get("/translate").text
    assert "Opening the tips" in page
    assert "Stop</button>" not in page
    assert tui.post("/loading/stop").status_code == 403
    assert not desk.loading.stopped
    desk.loading.ended = True


def test_an_address_without_a_row_is_refused(seated):
    """A page that somebody adds and does not write into the table opens to nobody, a supervisor neither."""
    seated.app._got_first_request = False
    seated.app.add_url_rule("/new", "case.new_page", lambda: "new")
    kaia = seated.person("Kaia")
    answer = kaia.get("/new")
    assert answer.status_code == 403
    assert NOT_ALLOWED in answer.text


def test_a_menu_shows_only_what_its_role_may_do(seated):
    """No link and no form on the first page of a role leads to an address that refuses the role."""
    kaia = seated.person("Kaia")
    for role in Role:
        person = kaia if role is Role.SUPERVISOR else seated.person(f"Tui {role}", role, kaia.seat)
        home = {Role.TRANSLATOR: "/translate", Role.FIGURES: "/figures"}.get(role, "/")
        page = person.get(home).text
        for path in set(re.findall(r'href="(/[^"#?]*)', page)):
            assert person.get(path).status_code == 200, (role, path)
        assert ("/seats" in page) is (role is Role.SUPERVISOR)


def test_a_tip_is_given_to_people_who_work_on_tips(seated, desk, one):
    """The colleagues to whom a tip can be given are the seats for that work, and not the names of desk.toml."""
    kaia = seated.person("Kaia")
    tui = seated.person("Tui", Role.HANDLER, kaia.seat)
    seated.person("Hine", Role.TRANSLATOR, kaia.seat)
    kaia.post(f"/tips/{one.id}/claim")
    page = kaia.get(f"/tips/{one.id}").text
    offered = page.partition('name="colleague"')[2].partition("</select>")[0]
    assert "Tui" in offered
    assert not any(name in offered for name in ("Hine", "Ana", "Kaia"))
    assert kaia.post(f"/tips/{one.id}/give", colleague="Hine").status_code >= 400
    assert kaia.post(f"/tips/{one.id}/give", colleague="Ana").status_code >= 400
    assert kaia.post(f"/tips/{one.id}/give", colleague="Tui").status_code == 303
    assert desk.cases.get(one.id).holder == "Tui"
    assert "Given to you by Kaia" in tui.get(f"/tips/{one.id}").text


def test_a_translator_reads_the_redacted_words_alone(seated, desk, one):
    """Of a tip that waits for a translation a translator reads what a handler left in; from no address more."""
    kaia = seated.person("Kaia")
    translator = seated.person("Tui", Role.TRANSLATOR, kaia.seat)
    unmarked = [translator.get(address(rule, one.id)).text for _, method, rule in rules(seated.app) if method == "GET"]
    assert not any("packhouse" in page for page in unmarked)

    desk.cases.claim(one.id, "Kaia")
    desk.cases.translate(one.id, "Kaia", "", needs_translator=True)
    assert translator.get(f"/translate/{one.id}").status_code == 404  # no handler has redacted the tip
    case = desk.cases.get(one.id)
    start = case.text("what").index(SECRET)
    draft = replace(case.draft, looked=True, marks={"what": ((start, start + len(SECRET)),)}, left_out=("where",))
    desk.cases.redact(one.id, "Kaia", draft)

    page = translator.get(f"/translate/{one.id}")
    assert "packhouse behind which [removed] sleeps" in page.text
    for _, method, rule in rules(seated.app):
        if method == "GET" and "end-all" not in rule.rule:
            page = translator.get(address(rule, one.id)).text
            assert SECRET not in page
            assert "Katikati" not in page
            assert "files/1.jpg" not in page


def test_a_translation_is_written_kept_and_finished(seated, desk, one):
    """A translator saves twice and finishes; the handler reads the text, and the journal holds none of it."""
    kaia = seated.person("Kaia")
    translator = seated.person("Tui", Role.TRANSLATOR, kaia.seat)
    desk.cases.claim(one.id, "Kaia")
    desk.cases.translate(one.id, "Kaia", "", needs_translator=True)
    desk.cases.redact(one.id, "Kaia", replace(one.draft, looked=True))
    assert translator.post(f"/translate/{one.id}", text="First <half>").status_code == 303
    assert "First &lt;half&gt;" in translator.get(f"/translate/{one.id}").text
    assert translator.post(f"/translate/{one.id}", text="").status_code == 409
    too_long = translator.post(f"/translate/{one.id}", text="x" * 20_001, typed="translated", window="w")
    assert too_long.status_code == 409
    assert "x" * 20_001 in too_long.text
    assert translator.post(f"/translate/{one.id}", text="All of it", finished="yes").location == "/translate"
    assert desk.cases.get(one.id).translation == "All of it"
    assert "All of it" in kaia.get(f"/tips/{one.id}").text
    late = translator.post(f"/translate/{one.id}", text="Too late")
    assert late.status_code == 404
    assert "Too late" in late.text
    assert not any("All" in line.what or "half" in line.what for line in desk.journal.entries)


def test_a_half_written_translation_comes_back_to_its_translator_alone(seated, desk, one):
    """What a translator typed and did not save is there after an idle lock, and is nobody else's."""
    kaia = seated.person("Kaia")
    translator = seated.person("Tui", Role.TRANSLATOR, kaia.seat)
    other = seated.person("Rui", Role.TRANSLATOR, kaia.seat)
    desk.cases.claim(one.id, "Kaia")
    desk.cases.translate(one.id, "Kaia", "", needs_translator=True)
    desk.cases.redact(one.id, "Kaia", replace(one.draft, looked=True))
    fields = {"typed": "translated", "window": "w1", "writer": "Tui", "number": "1"}
    kept = translator.post(f"/tips/{one.id}/typed", fields='[["text", "Half of it"]]', **fields)
    assert kept.status_code == 204
    seated.steady.seconds += 901
    assert translator.sign_in("Tui").status_code == 303
    assert ">Half of it</textarea>" in translator.get(f"/translate/{one.id}").text
    other.sign_in("Rui")
    assert "Half of it" not in other.get(f"/translate/{one.id}").text
    assert other.post(f"/tips/{one.id}/typed", fields='[["text", "x"]]', **fields).status_code >= 400
    saved = {"typed": "translated", "window": "w2", "continues": "w1", "text": "All"}
    assert translator.post(f"/translate/{one.id}", **saved).status_code == 303
    assert "Half of it" not in translator.get(f"/translate/{one.id}").text
    second = translator.post(f"/translate/{one.id}", text="Of another window", was="an older mark", typed="translated")
    assert second.status_code == 409
    assert "Of another window" in second.text
    assert "This is what is saved now" in second.text


def test_a_translator_never_reads_a_handler_s_own_translation(seated, desk, one):
    """A translation that a handler wrote from the original was redacted by nobody: its tip is not shown."""
    kaia = seated.person("Kaia")
    translator = seated.person("Tui", Role.TRANSLATOR, kaia.seat)
    desk.cases.claim(one.id, "Kaia")
    desk.cases.translate(one.id, "Kaia", f"{SECRET} sleeps there", needs_translator=True)
    desk.cases.change(one.id, "Kaia", "redacted", lambda now: replace(now, draft=replace(now.draft, looked=True)))
    desk.cases.change(one.id, "Kaia", "needs-translator", lambda now: replace(now, translator=True))
    answer = translator.get(f"/translate/{one.id}")
    assert answer.status_code == 404
    assert SECRET not in answer.text


def test_a_tip_that_must_not_be_passed_on_is_shown_to_no_translator(office, seated, desk):
    """A tip whose sender asked the desk not to pass it on is shown to no translator, and is listed to none."""
    kaia = seated.person("Kaia")
    translator = seated.person("Tui", Role.TRANSLATOR, kaia.seat)
    made = drop(office, desk, tip({"what": WORDS}, reply=reply_to()))
    marked = {"translator": True, "draft": replace(desk.cases.get(made).draft, looked=True)}
    desk.cases.change(made, "Kaia", "redacted", lambda now: replace(now, **marked))
    assert translator.get(f"/translate/{made}").status_code == 200
    drop(office, desk, tip({"what": "Please do not"}, answers_to=reply_to().locator, reply=reply_to(), withdraw=True))
    assert translator.get(f"/translate/{made}").status_code == 404
    assert made[:6] not in translator.get("/translate").text


def test_only_a_supervisor_confirms_a_key(seated, desk, one):
    """A handler's tick confirms no key, and the page says who can; a supervisor's tick does."""
    kaia = seated.person("Kaia")
    tui = seated.person("Tui", Role.HANDLER, kaia.seat)
    desk.cases.claim(one.id, "Tui")
    draft = replace(one.draft, looked=True, summary="Some men work there.", authorities=("police",))
    desk.cases.redact(one.id, "Tui", draft)
    assert "Only a supervisor can confirm a new key" in tui.get(f"/tips/{one.id}/refer").text
    version = desk.cases.get(one.id).version
    answer = tui.post(f"/tips/{one.id}/refer", version=version, confirmed="police")
    assert answer.status_code == 409
    assert "Only a supervisor can confirm it" in answer.text
    assert not any(line.did == "confirmed-key" for line in desk.journal.entries)
    desk.cases.release(one.id, "Tui")
    desk.cases.claim(one.id, "Kaia")
    version = desk.cases.get(one.id).version
    assert kaia.post(f"/tips/{one.id}/refer", version=version, confirmed="police").status_code == 303
    assert desk.journal.has("confirmed-key", next(e.what for e in desk.journal.entries if e.did == "confirmed-key"))


def test_two_seats_release_and_one_does_not(tmp_path):
    """With a release of two, one seat cannot do both halves, signed in twice or under its name in other letters."""
    office = Office(tmp_path, release=2)
    with office.desk() as desk:
        seated = SeatedDesk(desk)
        kaia = seated.person("Kaia")
        alone = kaia.get("/seats").text
        assert "There is one supervisor" in alone
        assert "Nothing can leave this desk yet" in alone
        mere = seated.person("Mere", Role.SUPERVISOR)
        assert 'class="warn">There is' not in kaia.get("/seats").text
        made = drop(office, desk, tip({"what": WORDS}))
        desk.cases.claim(made, "Kaia")
        draft = replace(
            desk.cases.get(made).draft, looked=True, summary="Some men work there.", authorities=("police",)
        )
        desk.cases.redact(made, "Kaia", draft)
        for browser, status in ((kaia, 303), (kaia, 409), (mere, 303)):
            version = desk.cases.get(made).version
            answer = browser.post(f"/tips/{made}/refer", version=version, confirmed="police")
            assert answer.status_code == status, answer.text
        second = seated.browser()
        second.sign_in("Kaia")
        sent = desk.cases.get(made).referrals
        assert [(one.by, one.second) for one in sent] == [("Kaia", "Mere")]
        refused = kaia.post("/seats", name="KAIA", role="handler")
        assert refused.status_code == 409


def test_two_seats_hand_over_and_one_does_not(tmp_path):
    """A text for a translator elsewhere needs two seats too, and one of them confirms the translator's key."""
    office = Office(tmp_path, release=2)
    with office.desk() as desk:
        seated = SeatedDesk(desk)
        kaia = seated.person("Kaia")
        tui = seated.person("Tui", Role.HANDLER)
        made = drop(office, desk, tip({"what": WORDS}))
        desk.cases.claim(made, "Kaia")
        desk.cases.redact(made, "Kaia", replace(desk.cases.get(made).draft, looked=True))
        fields = {"translator": "translator", "confirmed": "translator"}
        version = desk.cases.get(made).version
        assert kaia.post(f"/tips/{made}/translator", version=version, **fields).status_code == 303
        for browser, status in ((kaia, 409), (tui, 303)):
            version = desk.cases.get(made).version
            answer = browser.post(f"/tips/{made}/refer", version=version)
            assert answer.status_code == status, answer.text
        assert [one.who for one in desk.journal.entries if one.did == "to-translator"] == ["Tui"]
