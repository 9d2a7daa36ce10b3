"""docs/formats.md: its examples are what the program makes, and its lengths are the program's."""

import json
import re
from datetime import date

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.vault import age, reply
from app.vault.bundle import BUNDLE_BYTES, files_length, pack, pack_files, unpack
from app.vault.part import MAX_CANDIDATES, MAX_PARTS, SLICE_BYTES, pack_part, split
from app.vault.published_outcomes import read_outcomes, sign_outcomes
from app.vault.signature import public_bytes
from app.vault.tip import MAX_FILES, ReplyTo, Tip, TipId
from app.vault.tip_bundles import FileEntry, Words, from_bundles, read_words, words_to_json
from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
TIP_JSON, PART_JSON, OUTCOMES_JSON = (line.encode() for line in re.findall(r"```json\n(.*)\n```", TEXT))
FILES = {"files/1.jpg": b"jpg"}
EVERYTHING = re.compile(".*")


def words():
    """Return the words of the example, read from the example."""
    return read_words(pack({"tip.json": TIP_JSON, "tip.txt": b""}))


def test_the_example_of_tip_json_is_what_the_program_makes():
    """The example of `tip.json` is read, and is made again from what was read."""
    key = bytes(range(32))
    tip = Tip(
        TipId("0123456789abcdefghjkmnpqrs"),
        date(2026, 11, 22),
        {"what": "They hold his passport.", "kinds": ("work", "debt")},
        reply=ReplyTo(key, "0" * 32),
    )
    assert words() == Words(tip, (FileEntry("files/1.jpg", "image/jpeg", 3, ("GPS position",)),), key)
    assert words_to_json(words()) == TIP_JSON


def test_the_example_of_outcomes_json_is_what_the_program_makes():
    """The example of `outcomes.json` is read under the key that is in it, and signed again to the same bytes."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    outcomes = read_outcomes(OUTCOMES_JSON + b"\n", agency="intake", key=public_bytes(key), today=date(2027, 5, 8))
    assert sign_outcomes(outcomes, key) == OUTCOMES_JSON + b"\n"


def test_the_example_of_part_json_proves_itself_to_the_words():
    """The example of `part.json` is the part of the example's words, and the files come out of it."""
    data = b"".join(pack_files(FILES))
    how = {"tip": words().tip.id, "key": words().key, "ids": lambda _: TipId("1" * 26)}
    parts = list(split(lambda: [data], len(data), **how))
    assert [unpack(pack_part(part), EVERYTHING)["part.json"] for part in parts] == [PART_JSON]
    assert f"the slice has {len(data)} bytes" in TEXT
    assert [file.data for file in from_bundles(words(), parts).files] == [*FILES.values()]


def test_each_field_is_explained():
    """Each field of the two examples has a row that explains it."""
    for line in (TIP_JSON, PART_JSON):
        for field in json.loads(line):
            assert re.search(rf"^\|[^|]*`{field}`", TEXT, re.MULTILINE), field


def test_the_lengths_are_the_program_s():
    """Each length that the page names is the constant of the program."""
    assert age.ENVELOPE_BYTES == 22 + 4 * 1557 + 48 + 16 + 2 * 65_552
    assert age.HYBRID_STANZA_BYTES == 1557
    assert age.STANZAS == 4
    assert age.CHUNK_BYTES + age.TAG_BYTES == 65_552
    for number in (age.ENVELOPE_BYTES, BUNDLE_BYTES, SLICE_BYTES, reply.SEALED_BYTES):
        assert f"**{number:,} bytes**" in TEXT
    assert f"At most {MAX_PARTS:,} parts" in TEXT
    assert f"up to {MAX_FILES}, in the order" in TEXT
    assert (MAX_CANDIDATES, "at most four candidates" in TEXT) == (4, True)


def test_the_length_of_the_zip_of_files_is_as_the_page_says():
    """The page's sum is what `files_length` returns."""
    sizes = {"files/1.jpg": 3, "files/12.docx": 5000}
    assert files_length(sizes) == 22 + sum(76 + 2 * len(path) + size for path, size in sizes.items())
