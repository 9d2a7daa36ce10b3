"""A schema with one field and one kind more, and the way of a tip that has both, from the form to the referral.

`extend` changes the schema alone, before any other module of the program is imported, so this runs in a process of its
own: `python -m tests.support.one_more_field FOLDER` prints what each place showed, as JSON.
"""

import json
import re
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path
from unittest.mock import patch

from app.vault import tip

FIELD = tip.TipField("further", tip.FieldType.SHORT, "A further question?", "A further heading", "A further hint.", 300)
KIND = tip.Choice("further-kind", "A further kind")
WORDS = "A white van with a dented door."


def extend() -> None:
    """Add the field and the kind to the schema, and nothing anywhere else."""
    fields = [
        replace(field, choices=(*field.choices, KIND)) if field.name == "kinds" else field
        for field in tip.SCHEMA.fields
    ]
    tip.SCHEMA = tip.TipSchema((*fields, FIELD))


def shown_on_the_way(folder: Path) -> dict[str, str]:
    """What each place showed of a tip with the new field and kind, by the name of the place."""
    from app.delivery.outbox import Outbox
    from app.vault.age_open import unseal
    from app.vault.keys import DEMONSTRATION
    from app.vault.tip_bundles import read_words, words_to_text
    from tests.support.desk import Browser, Office, receive
    from tests.support.visit import open_site

    site = open_site(folder / "site", ("en",), REPORT_MIN_FILL="0s")
    form = site.get("/en/report").document
    answers = {"what": "Men are held.", "kinds": [KIND.value], FIELD.name: WORDS}
    answers["csrf_token"] = form.one("input", name="csrf_token").attrs["value"]
    checked = site.post("/en/report", answers | {"step": "check"}).document
    answers["csrf_token"] = checked.one("input", name="csrf_token").attrs["value"]
    with patch.object(Outbox, "put") as put:
        site.post("/en/report", answers | {"step": "send"})
    (envelope,) = put.call_args.args[0]
    words = read_words(unseal(envelope.data, [DEMONSTRATION]))
    sent = words.tip

    (folder / "office").mkdir()
    office = Office(folder / "office")
    office.drop(sent)
    with office.desk() as desk:
        receive(desk)
        browser = Browser(desk)
        browser.post(f"/tips/{sent.id}/claim")
        read = browser.get(f"/tips/{sent.id}").text
        redact = browser.get(f"/tips/{sent.id}/redact").text
        kept = re.findall(r'name="keep" value="([^"]+)" checked', redact)
        browser.post(f"/tips/{sent.id}/redact", keep=kept, summary="Men are held.", authority=["police"])
        look = browser.get(f"/tips/{sent.id}/refer").text
        version = re.search(r'name="version" value="(\d+)"', look)[1]
        browser.post(f"/tips/{sent.id}/refer", version=version, confirmed=["police"])
        referral = desk.cases.get(sent.id).referrals[0].text
        figures = browser.get("/figures").text
        queue = browser.get(f"/?view=referred&kind={KIND.value}").text
    return {
        "form": form.text,
        "check page": checked.one("main").text,
        "tip.txt": words_to_text(words),
        "desk": unescape(read),
        "queue": queue,
        "figures": figures,
        "referral": referral,
    }


if __name__ == "__main__":
    extend()
    print(json.dumps(shown_on_the_way(Path(sys.argv[1]))))
