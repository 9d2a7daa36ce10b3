"""One copy of PostgreSQL's disk: which rows are tips, by transactions, places and rows that are dead but still there.

The threat model says what these tell. The area under the curve (AUC) of each measure is a half at chance; here some
are far from chance, which is why the threat model says to use SQLite where a copy of the disk matters.
"""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator

import psycopg
import pytest

from app.delivery.leases import Leases
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.delivery.schema import blob_id
from app.vault.age import ENVELOPE_BYTES
from app.vault.tip import TipId, new_tip_id
from tests.support.faults import report, scale
from tests.support.watched import told_apart

pytestmark = pytest.mark.needs("postgres")
STOCK = 32
# Every version of each row that is still on a page, dead ones too: its maker, its end, whether it ended without a
# newer version, and whether it was never tried (the third column, a byte).
VERSIONS = """
SELECT t_xmin::text::bigint, t_xmax::text::bigint,
       t_ctid = ('(' || page || ',' || lp || ')')::tid, get_byte(t_attrs[3], 0)
FROM generate_series(0, pg_relation_size('cells') / 8192 - 1) AS page,
     heap_page_item_attrs(get_raw_page('cells', page::int), 'cells') WHERE t_attrs IS NOT NULL
"""


def envelope() -> Envelope:
    return Envelope(new_tip_id(), "intake", os.urandom(ENVELOPE_BYTES))


class PostgresDay:
    """An outbox on PostgreSQL whose envelopes leave one a beat, with tips of words and of parts among its decoys."""

    def __init__(self, url: str, memory: SqliteMemoryStore) -> None:
        self.box = Outbox(url, memory)
        self._leases = Leases(self.box.database)
        self._owner = self._leases.acquire_lease(0, seconds=86_400)
        self.words, self.parts = set[TipId](), set[TipId]()
        for _ in range(STOCK):
            self.box.put_decoy(envelope())

    def beat(self, *, envelopes: int) -> None:
        """Put a tip of so many envelopes, if there are any, and let one envelope leave."""
        tip = [envelope() for _ in range(envelopes)]
        if tip:
            self.box.put(tip, nonce=os.urandom(16))
            (self.parts if len(tip) > 1 else self.words).update(each.id for each in tip)
        waiting = [*self._leases.waiting("intake")]
        leaving = random.choice(waiting)
        self._leases.begin(self._owner, leaving)
        self._leases.load(leaving)
        self.box.settle(leaving, decoy=envelope() if len(waiting) <= STOCK else None)


def measures(connection: psycopg.Connection) -> Iterator[tuple[str, dict[str, float]]]:
    """What a copy says of each envelope."""
    live = connection.execute("SELECT id, xmin::text::bigint, ctid::text FROM cells").fetchall()
    places = dict(connection.execute("SELECT slot, ctid::text FROM blobs").fetchall())
    makers = sorted({maker for _, maker, _ in live})
    before = dict(zip(makers[1:], makers, strict=False))
    together = Counter(maker for _, maker, _ in connection.execute("SELECT id, xmin::text::bigint, 0 FROM labels"))
    made_by = dict(connection.execute("SELECT id, xmin::text::bigint FROM labels").fetchall())
    versions = connection.execute(VERSIONS).fetchall()
    took = {ended for _, ended, last, tried in versions if ended and last and not tried}
    for each, maker, ctid in live:
        made = made_by[each]
        yield (
            each,
            {
                "rows of its transaction": together[made],
                "its transaction ended a row never tried": float(made in took),
                "transactions since the one before": made - before.get(made, made),
                "place of its row": _place(ctid),
                "place of its bytes": _place(places[blob_id(each.encode())]),
                "number of its transaction": maker,
            },
        )


def _place(ctid: str) -> float:
    page, _, line = ctid.strip("()").partition(",")
    return int(page) + int(line) / 1000


@pytest.mark.parametrize("vacuumed", [False, True], ids=["dead rows there", "vacuumed"])
def test_what_one_copy_of_postgresql_tells(postgres, tmp_path, vacuumed):
    """A tip with files is told by the number of rows in its transaction; the report says what tells words."""
    url = postgres.database()
    day = PostgresDay(url, SqliteMemoryStore(tmp_path / "memory"))
    groups = {kind: defaultdict(lambda: ([], [])) for kind in ("words", "parts")}
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pageinspect")
        for _ in range(scale(3, 40)):
            for size in random.sample([1] * 6 + [6] * 2 + [0] * (STOCK - 8), STOCK):
                day.beat(envelopes=size)
            if vacuumed:
                connection.execute("VACUUM cells, labels, blobs, spares")
            for each, found in measures(connection):
                for kind, ids, others in (("words", day.words, day.parts), ("parts", day.parts, day.words)):
                    for name, value in found.items() if each not in others else ():
                        groups[kind][name][each not in ids].append(value)
    day.box.database.close()
    told = {kind: {name: round(told_apart(*pair), 2) for name, pair in group.items()} for kind, group in groups.items()}
    for kind, group in told.items():
        report(f"one copy of PostgreSQL, {kind}, {'vacuumed' if vacuumed else 'dead rows there'}", **group)
    assert told["parts"]["rows of its transaction"] > 0.7
