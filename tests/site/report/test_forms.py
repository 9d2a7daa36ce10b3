"""The fields of forms are copies of fields that were bound once: nothing of one form reaches another."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from flask import Flask
from flask_babel import Babel

from app.site.report import form_token
from app.site.report.answer_form import ReplyForm
from app.site.report.form_token import Token, TokenContext
from app.site.report.forms import ReportForm

SECRET, NOW = bytes(range(32)), 1_790_000_000
OFFERED = [SimpleNamespace(id="one"), SimpleNamespace(id="other")]
CANARY = "canary5e7a"
WRONG = {"what": "", "where": CANARY * 900, "danger": CANARY, "kinds": [CANARY], "without": ["one.", "other"]}


@pytest.fixture(scope="module")
def app():
    """An application that translates, and has nothing else of the site."""
    app = Flask("forms")
    app.config.update(WTF_I18N_ENABLED=False)
    Babel(app)
    return app


def new_form(app, form_class=ReportForm, **data):
    """A form with what a request sent, validated, and a token of its own."""
    context = TokenContext(SECRET, Token.new(NOW), NOW, min_fill=0)
    data = {"csrf_token": Token.new(NOW).sign(SECRET), **data}
    with app.test_request_context(method="POST", data=data):
        form = form_class(meta={"csrf_context": context})
        if form_class is ReportForm:
            form.offer(OFFERED if "without" in data else OFFERED[:1])
        form.validate()
        return form


def state(form):
    """What a form knows of its request, but for its token."""
    fields = {field.name: (field.data, field.raw_data, list(field.errors), field.process_errors) for field in form}
    fields.pop("csrf_token")
    return fields, form.field_errors, form.hidden, form.texts, form.agency


def test_nothing_of_one_form_is_in_another(app):
    """A form made before, and one made after, a form that is full of errors are as they are without it."""
    before = new_form(app, what="typed with care")
    wanted = state(before)
    wrong = new_form(app, **WRONG)
    assert {"what", "where", "danger", "kinds", "without"} <= wrong.field_errors.keys()
    after = new_form(app, what="typed with care")
    assert state(before) == state(after) == wanted
    assert (wanted[1], after.without.offered, wrong.without.offered) == ({}, OFFERED[:1], OFFERED)
    assert CANARY not in str([vars(field) for form in (before, after) for field in form])


def test_each_field_belongs_to_its_own_form(app):
    """A field knows its form and the context of that form, and the token's field that of no other."""
    first, second = new_form(app), new_form(app)
    for form in (first, second):
        assert all(field.meta is form.meta and field._form is form for field in form)
        assert form["csrf_token"].csrf_impl.context is form.meta.csrf_context
    assert first.meta.csrf_context is not second.meta.csrf_context
    assert first.token != second.token
    assert not {id(field) for field in first} & {id(field) for field in second}


def test_fields_of_one_name_in_two_forms_are_not_mistaken_for_each_other(app):
    """Both a report and an answer ask "what", in words of their own."""
    report, answer = new_form(app, what="one"), new_form(app, ReplyForm, what="other")
    assert (report["what"].data, answer["what"].data) == ("one", "other")
    assert report["what"].label.text != answer["what"].label.text


def test_fields_are_the_same_as_those_that_are_bound_anew(app):
    """A copy has the name, the texts, the flags, the validators and the choices of a field that is bound anew."""
    form = new_form(app)
    for name, unbound in form._unbound_fields:
        copy, bound = form[name], unbound.bind(form, name)
        for key, value in vars(bound).items():
            found = vars(copy)[key]
            assert found == value or vars(found) == vars(value), f"{name}: {key} is {found}, not {value}"


def test_nothing_of_a_form_is_kept(app):
    """However many forms there are, no more fields are kept than their classes have: none holds a token."""
    for form_class in (ReportForm, ReplyForm):
        new_form(app, form_class, **WRONG)
    kept = form_token._bound_once.cache_info().currsize
    for form_class in (ReportForm, ReplyForm) * 5:
        new_form(app, form_class, **WRONG)
    assert form_token._bound_once.cache_info().currsize == kept


def test_forms_of_many_threads_hold_each_its_own(app):
    """Forms that are made at the same time, the very first ones among them, share no words and no errors."""
    form_token._bound_once.cache_clear()
    together = threading.Barrier(8)

    def fill(number):
        together.wait()
        forms = [new_form(app, what=f"{number}-{turn}", danger="" if number % 2 else "x") for turn in range(20)]
        return [(form["what"].data, sorted(form.field_errors)) for form in forms]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(fill, range(8)))
    for number, each in enumerate(found):
        assert each == [(f"{number}-{turn}", [] if number % 2 else ["danger"]) for turn in range(20)]
