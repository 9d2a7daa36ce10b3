"""Who watches the lines of the desk, or reads at a mail relay, learns no more than was said.

The line to the site has one post an hour; the line to an authority with `cells` has as many envelopes in each window;
and all mails of a relay look alike. Each is compared with the same days without a reply, a referral or a tip.
"""

import email
import email.policy
import json
import os
import random
import re
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest

from app.delivery.destinations import Destination, open_transport
from app.delivery.forwarder import Forwarder, ForwardRules
from app.delivery.pace import Pace
from app.desk.closing import close_case
from app.desk.config import Authority, load_desk_config
from app.desk.health import party_pace
from app.vault.tip import ReplyTo, TipId
from tests.support.desk import NOON, Office, receive, tip
from tests.support.envelopes import decoy, nodes, real
from tests.support.faults import Clock, report, scale
from tests.support.servers import Certificates, Request, https, smtp
from tests.support.watched import LeasesInMemory, OutboxInMemory, simulate, told_apart_in

HOUR, WINDOW = 3600, 600


# The desk's line to the site


WATCHERS: dict[str, Callable[[int], bool]] = {
    "refuses none": lambda _: False,
    "refuses all": lambda _: True,
    "refuses some": lambda hour: hour % 7 in {2, 3, 5},
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def posts(
    folder: Path,
    certificates: Certificates,
    *,
    hours: int,
    writes: Callable[[int], int],
    refuses: Callable[[int], bool],
) -> tuple[list[tuple[int, Request]], set[str]]:
    """What a site is sent in each hour while a handler writes to so many threads; and those threads' locators."""
    folder.mkdir()
    seen, clock, written = [], Clock(NOON), set()
    with https(certificates) as (port, site):
        address = f"https://127.0.0.1:{port}/agency/replies"
        office = Office(folder, replies=address, more=f'ca = "{certificates.ca}"\n')
        with office.desk(clock=clock) as desk:
            desk.reply_poster.post_due()
            for hour in range(hours):
                for _ in range(writes(hour)):
                    to = ReplyTo(os.urandom(32), os.urandom(16).hex())
                    one = office.drop(tip(reply=to))
                    receive(desk)
                    desk.replies.write(desk.cases.claim(one, "Ana"), "Ana", "word " * random.randrange(1, 400))
                    # The sender is told beside that the tip was closed, when no words of a handler wait.
                    desk.statuses.note_opened(desk.cases.get(one))
                    desk.statuses.note_closed(close_case(desk.cases, one, "Ana", "nothing"))
                    written.add(to.locator)
                clock.wait(HOUR)
                before, site.statuses = len(site.requests), [503 if refuses(hour) else 204]
                for _ in range(3):  # the desk looks every few seconds
                    desk.reply_poster.post_due()
                seen += [(hour, request) for request in site.requests[before:]]
    return seen, written


def wire_bytes(request: Request) -> int:
    """The length of a request on the line, which TLS makes longer by the same for all."""
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return len(request.path) + len(head) + len(request.body)


@pytest.mark.parametrize("how", WATCHERS)
def test_the_line_to_the_site_is_the_same_with_replies_and_without(tmp_path, certificates, how):
    """One post of one length leaves in each hour, whether handlers write or not, and whatever the watcher refuses."""
    hours = scale(24, 30 * 24)
    lines = []
    for name, writes in (("quiet", lambda _: 0), ("busy", lambda _: random.choice([0, 0, 0, 0, 0, 1, 2]))):
        seen, written = posts(tmp_path / name, certificates, hours=hours, writes=writes, refuses=WATCHERS[how])
        lines.append([(hour, wire_bytes(request)) for hour, request in seen])
    assert [hour for hour, _ in lines[0]] == [*range(hours)]
    assert lines[0] == lines[1]
    assert written
    report(f"hours that differ with replies and without, a watcher who {how}", hours=hours, differ=0, lengths=1)


def test_no_post_tells_a_reply_from_nothing(tmp_path, certificates):
    """What the site is sent says the same of a reply and of nothing: names, lengths, last days, and random bytes."""
    hours = scale(60, 1_000)
    seen, written = posts(
        tmp_path / "desk", certificates, hours=hours, writes=lambda hour: hour % 2, refuses=lambda _: False
    )
    forms, groups = set(), defaultdict(lambda: ([], []))
    for hour, request in seen:
        body = json.loads(request.body)
        sealed = b64decode(body["message"])
        forms.add((tuple(body), tuple(map(len, body.values())), body["agency"]))
        features = {
            "last day": date.fromisoformat(body["expires"]).toordinal() - hour / 24,
            "mean byte": sum(sealed) / len(sealed),
            "first byte of the id": ord(body["reply_id"][0]),
            "first byte of the locator": ord(body["locator"][0]),
        }
        for name, value in features.items():
            groups[name][body["locator"] not in written].append(value)
    assert len(forms) == 1
    found = {}
    for name, pair in groups.items():
        found[name], away = told_apart_in([pair])
        assert found[name] < 0.5 + away, found
    report("a reply told from nothing by its post", worst=f"{max(found.values()):.2f}", chance=0.5, posts=len(seen))


# The desk's line to an authority with `cells`


@pytest.mark.parametrize("how", ["none", "all", "half", "chosen"])
def test_the_line_to_an_authority_with_cells_is_the_same_with_referrals_and_without(tmp_path, how):
    """Each window has its cells, and as many new ids, whether or not something is referred, whatever is refused."""
    pace = party_pace(with_cells(tmp_path, 4))
    dice = {"none": 0.0, "all": 1.0, "half": 0.5, "chosen": 0.25}[how]
    days = []
    for busy in (False, True):
        chance, arriving, chosen = random.Random(3), random.Random(5), {}

        def refuses(one: TipId, _: int, chance=chance, chosen=chosen) -> bool:
            drawn = chance.random() < dice
            return chosen.setdefault(one, drawn) if how == "chosen" else drawn

        def arrives(busy=busy, arriving=arriving) -> Sequence[int]:
            return [arriving.choice([1, 1, 6])] if busy and arriving.random() < 0.04 else []

        box = OutboxInMemory(random.Random(1), remembers=False)
        days.append(
            simulate(
                box, LeasesInMemory, windows=scale(144, 4_320), arriving=arrives, refuses=refuses, pace=pace, seed=9
            )
        )
    quiet, some = days
    assert len(some.tips) > 20
    assert {count for one in days for count, _, _ in one.windows()} == {pace.cells}
    assert [one.moment for one in quiet.seen] == [one.moment for one in some.seen]
    # Other ids are refused where the watcher chooses them: then only their number is the same.
    assert quiet.windows() == some.windows() or how == "chosen"
    report(f"windows of an authority's line that differ, a watcher who refuses {how}", windows=len(some.rows), differ=0)


def with_cells(folder: Path, cells: int) -> Authority:
    """An authority of a desk's configuration that has so many cells."""
    office = Office(folder)
    text = office.config.read_text().replace('name = "Example Police"', f'name = "Example Police"\ncells = {cells}')
    office.config.write_text(text)
    return load_desk_config(office.config, {}).authorities["police"]


# The relay's mailbox


def test_the_mails_at_a_relay_tell_no_tip_from_a_decoy(certificates):
    """Every mail has one length and one form, but for its random id and its sealed bytes, which are at chance."""
    url = "smtp+starttls://user@127.0.0.1:{port}/?to=desk@example.org"
    clock, windows, mine = Clock(), scale(12, 200), set()
    with smtp(certificates) as (port, mailbox), nodes() as (box,):
        way = open_transport(
            Destination("intake", url.format(port=port), ca=certificates.ca, password="open sesame"), base=Path("/")
        )
        forwarder = Forwarder(
            box, {"intake": way}, ForwardRules(WINDOW, {"intake": Pace(8, 32)}), make_decoy=decoy, clock=clock
        )
        for number in range(windows):
            envelopes = real(photograph=number % 2 == 0)
            box.put(envelopes, now=clock())
            mine |= {one.id for one in envelopes}
            forwarder.run_window(int(clock()))
            clock.wait(WINDOW)
    forms, groups = Counter(), defaultdict(lambda: ([], []))
    for mail in mailbox.mails:
        message = email.message_from_bytes(mail, policy=email.policy.SMTP)
        found = re.search(rb'filename="(\w{26})\.age"', mail)[1]
        head = re.sub(rb"(?m)^Date: .*$", b"", mail[: mail.index(b"YWdlLWVuY3J5cHRpb24ub3Jn")]).replace(found, b"id")
        forms[len(mail), message.get_content_type(), head] += 1
        group = groups["first letter of the id"], groups["mean byte"]
        for pair, value in zip(group, (found[0], sum(mail) / len(mail)), strict=True):
            pair[found.decode() not in mine].append(value)
    assert len(mailbox.mails) == windows * 8
    assert list(forms.values()) == [len(mailbox.mails)]
    told = {}
    for name, pair in groups.items():
        told[name], away = told_apart_in([pair])
        assert told[name] < 0.5 + away, told
    report("a tip told from a decoy in a relay's mailbox", mails=len(mailbox.mails), forms=len(forms), **told)
