"""A tip as bundles: what goes in comes out, each bundle has one length, and nothing else is taken."""

import io
import json
import re
import subprocess
import zipfile
from base64 import b64decode
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import BundleError
from app.files.protocol import RemovedKind
from app.vault import tip
from app.vault.bundle import BUNDLE_BYTES, files_length, first_member, pack, pack_files, unpack, unpack_files
from app.vault.part import MAX_PARTS, SLICE_BYTES, read_part, split
from app.vault.tip import SCHEMA, FieldType, ReplyTo, Tip, TipFile
from app.vault.tip_bundles import (
    FileEntry,
    Words,
    from_bundles,
    read_words,
    to_bundles,
    words_to_json,
    words_to_text,
)

KIB = 1024
DAY = date(2026, 11, 22)
ID = tip.TipId("0123456789abcdefghjkmnpqrs")
OTHER = tip.TipId("1" * 26)
LOCATOR = "L" * 43
SMALL = Tip(ID, DAY, {"what": "They hold his passport.\nHe sleeps at work."})
FULL = Tip(
    ID,
    DAY,
    {"what": "येवला में\n1 < 2 & \"3\" \\ '4'\t🙂", "kinds": ("work", "debt"), "danger": "unsure"},
    (
        TipFile("files/1.jpg", "image/jpeg", ("GPS position", "camera"), b"\xff\xd8" + bytes(5000)),
        TipFile("files/3.pdf", "application/pdf", (), b""),
    ),
    ReplyTo(bytes(range(32)), LOCATOR),
    answers_to="earlier",
)
FULL_BUNDLES = to_bundles(FULL)
FULL_WORDS = read_words(FULL_BUNDLES[0].data)
FULL_JSON = words_to_json(FULL_WORDS)
SMALL_BUNDLE = to_bundles(SMALL)[0].data


def opened(bundles):
    """Return the tip in bundles, the words first."""
    return from_bundles(read_words(bundles[0].data), [read_part(bundle.data) for bundle in bundles[1:]])


def with_file(size):
    """Return the small tip with one file of so many bytes."""
    return replace(SMALL, files=(TipFile("files/1.jpg", "image/jpeg", (), bytes(size)),))


# Text as it is after cleaning: of the control characters only line ends and tabs are left.
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], include_characters="\n\t"), max_size=300)
tips = st.builds(
    Tip,
    id=st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=26, max_size=26),
    received=st.dates(),
    answers=st.dictionaries(
        st.from_regex(r"[a-z][a-z-]{0,31}", fullmatch=True),
        texts | st.lists(texts, max_size=3).map(tuple),
        max_size=5,
    ),
    files=st.lists(st.integers(1, 99), max_size=4, unique=True).flatmap(
        lambda numbers: st.tuples(
            *(
                st.builds(
                    TipFile,
                    path=st.just(f"files/{number}.bin"),
                    type=st.sampled_from(["image/jpeg", "application/pdf", "text/plain"]),
                    removed=st.lists(texts, max_size=3).map(tuple),
                    data=st.binary(max_size=2000),
                )
                for number in numbers
            )
        )
    ),
    reply=st.none() | st.builds(ReplyTo, key=st.binary(min_size=32, max_size=32), locator=st.just(LOCATOR)),
    answers_to=st.none() | st.just(LOCATOR),
    decoy=st.booleans(),
)


@given(tips)
def test_what_is_packed_comes_back(made):
    """Any tip comes back from its bundles as it was, and every bundle has one length."""
    bundles = to_bundles(made)
    assert {len(bundle.data) for bundle in bundles} == {128 * KIB} == {BUNDLE_BYTES}
    assert opened(bundles) == made
    assert opened([bundles[0], *reversed(bundles[1:])]) == made
    assert bundles[0].id == made.id
    assert len({bundle.id for bundle in bundles}) == len(bundles)
    words = read_words(bundles[0].data)
    assert len(bundles) == 1 + words.part_count
    assert words.tip == replace(made, files=())
    assert [(file.path, file.size) for file in words.files] == [(file.path, len(file.data)) for file in made.files]


def test_tip_json_is_as_the_contract_says():
    """`tip.json` has the contract's fields, in UTF-8 that is not escaped."""
    line = FULL_JSON.decode()
    assert "येवला" in line
    fields = json.loads(line)
    assert len(b64decode(fields["parts"].pop("key"), validate=True)) == 32
    assert fields == {
        "format": "haumaru-tip/2",
        "id": ID,
        "received": "2026-11-22",
        "answers": {"what": FULL.answers["what"], "kinds": ["work", "debt"], "danger": "unsure"},
        "files": [
            {"path": "files/1.jpg", "type": "image/jpeg", "size": 5002, "removed": ["GPS position", "camera"]},
            {"path": "files/3.pdf", "type": "application/pdf", "size": 0, "removed": []},
        ],
        "parts": {"count": 1},
        "replies": {},
        "reply": {"key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "locator": LOCATOR},
        "answers_to": "earlier",
    }
    small = json.loads(words_to_json(read_words(SMALL_BUNDLE)))
    assert small["reply"] is None
    assert small["parts"]["count"] == 0
    assert len(small["parts"]["key"]) == 44, "a tip without files has a key too"
    assert "decoy" not in small


def test_an_answer_brings_replies_a_withdrawal_and_its_number():
    """What only an answer has is read back as it was, and is absent where there is none."""
    made = replace(FULL, replies={"how-many": "Five or six"}, withdraw=True, number=2)
    words = read_words(to_bundles(made)[0].data)
    assert (words.tip.replies, words.tip.withdraw, words.tip.number) == ({"how-many": "Five or six"}, True, 2)
    fields = json.loads(words_to_json(words))
    assert list(fields)[6:] == ["replies", "withdraw", "reply", "answers_to", "number"]
    assert not {"withdraw", "number"} & set(json.loads(FULL_JSON))
    text = unpack(to_bundles(made)[0].data, re.compile(".*"))["tip.txt"].decode()
    assert "THE SENDER ASKS YOU NOT TO PASS THE REPORT ON." in text
    assert "Your question: How many people does it happen to?\n  Five or six\n" in text
    ticked = text_of(replace(FULL, replies={"how-many": "few", "newer": "few"}))
    assert "Your question: How many people does it happen to?\n  2 to 5\n\nYour question: newer\n  few\n" in ticked


@pytest.mark.parametrize(
    "change",
    [
        {"answers_to": None, "replies": {"a": "b"}},
        {"answers_to": None, "withdraw": True},
        {"answers_to": None, "number": 1},
        {"replies": dict.fromkeys("abcdefghijklmnopqrstu", "x")},
        {"replies": {"a": "x" * (tip.MAX_REPLY_LENGTH + 1)}},
        {"replies": {"A": "x"}},
        {"number": -1},
        {"number": True},
        {"number": tip.MAX_NUMBER + 1},
        {"withdraw": 1},
    ],
)
def test_what_an_answer_brings_is_checked(change):
    """A report has no replies, no withdrawal and no number, and an answer has them within their limits."""
    with pytest.raises(BundleError):
        replace(FULL, **change)


def test_the_longest_answer_fits_one_bundle():
    """An answer of full length with as many replies as it may have, each of full length, is 128 KiB."""
    replies = {letter * 32: "𪜀" * tip.MAX_REPLY_LENGTH for letter in "abcdefghijklmnopqrst"}
    assert len(replies) == tip.MAX_REPLIES
    answer = {"what": "𪜀" * tip.SCHEMA.field("what").max_length}
    made = Tip(ID, DAY, answer, reply=ReplyTo(bytes(32), "L" * 128), answers_to="L" * 128, replies=replies, number=9999)
    assert len(to_bundles(made)[0].data) == 128 * KIB


def test_the_key_is_new_each_time():
    """Two tips, and one tip made into bundles twice, have different keys."""
    assert len({read_words(to_bundles(FULL)[0].data).key for _ in range(20)}) == 20


def test_the_caller_gives_the_ids_of_the_parts():
    """`part_ids` is asked once for each number, from 1, and its ids are those of the bundles and in the parts."""
    ids = {number: tip.new_tip_id() for number in (1, 2, 3)}
    bundles = to_bundles(with_file(3 * SLICE_BYTES - 1000), part_ids=ids.__getitem__)
    assert [bundle.id for bundle in bundles] == [ID, *ids.values()]
    assert [read_part(bundle.data).id for bundle in bundles[1:]] == [*ids.values()]
    with pytest.raises(BundleError):
        to_bundles(with_file(100), part_ids=lambda _: ID)


def text_of(made):
    """Return the `tip.txt` of a tip."""
    return words_to_text(read_words(to_bundles(made)[0].data))


def test_tip_txt_can_be_read_by_a_person():
    """`tip.txt` has labels in English, the answers as they were written, and what was taken out of the files."""
    text = words_to_text(FULL_WORDS)
    for line in (
        f"Report: {ID}",
        "Received: 2026-11-22",
        "Can be answered: yes",
        "In answer to your reply: earlier",
        "What is happening:\n  येवला में\n  1 < 2 & \"3\" \\ '4'\t🙂\n",
        "What it is about:\n  work, debt\n",
        "Is someone in danger now:\n  unsure\n",
        "  files/1.jpg (image/jpeg, 5002 bytes): GPS position, camera\n",
        "  files/3.pdf (application/pdf, 0 bytes): nothing was found\n",
        "Envelopes that bring the files: 1.",
    ):
        assert line in text
    assert "Can be answered: no" in text_of(SMALL)
    assert "Envelopes" not in text_of(SMALL)


def test_tip_txt_steers_no_terminal():
    """Control characters and turned lines do not reach who reads `tip.txt`, and no answer passes for a label."""
    steering = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E, 0x2066]))
    text = text_of(Tip(ID, DAY, {"what": f"{steering}\nReceived: 1999-01-01", "kinds": ("a\x1b[2Jb\nc",)}))
    assert set(text) & set(steering) == {"\n", "\t"}
    assert "\nReceived: 1999-01-01" not in text
    assert re.findall(r"^\S.*:$", text, re.MULTILINE) == ["What is happening:", "What it is about:"]


@pytest.mark.needs("unzip")
def test_other_tools_open_the_bundles(tmp_path):
    """Python's own zipfile and `unzip` check and unpack every member; every time is 1980-01-01."""
    members = {"tip.json": FULL_JSON, "tip.txt": words_to_text(FULL_WORDS).encode()}
    data = zipfile_members(FULL_BUNDLES[1].data)["data"]
    assert list(zipfile_members(FULL_BUNDLES[0].data)) == [*members, "padding"]
    assert list(zipfile_members(FULL_BUNDLES[1].data)) == ["part.json", "data", "padding"]
    assert zipfile_members(data) == {file.path: file.data for file in FULL.files}
    (tmp_path / "tip.zip").write_bytes(FULL_BUNDLES[0].data)
    (tmp_path / "files.zip").write_bytes(data)
    for name in ("tip.zip", "files.zip"):
        subprocess.run(["unzip", "-q", "-d", "unzip", name], cwd=tmp_path, check=True)
    assert (tmp_path / "unzip/tip.txt").read_bytes() == members["tip.txt"]
    assert (tmp_path / "unzip/files/1.jpg").read_bytes() == FULL.files[0].data


def zipfile_members(data):
    """Return the members that Python's zipfile finds, after a check that all are plain and of 1980."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.extra + info.comment for info in archive.infolist()} == {b""}
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("letter", ["a", "ā", "中", "🙂", '"', "\\", "\n", "\t", "\u2028", "\u202e", "\x7f", "\n🙂"])
def test_the_longest_report_fits_one_bundle(letter):
    """Every text field at its full length, in any script, with every box ticked and ten files, is 128 KiB."""
    files = tuple(TipFile(f"files/{number}.docx", DOCX, USUAL, b"x") for number in range(1, 11))
    made = replace(longest_report(letter), files=files)
    bundles = to_bundles(made)
    assert len(bundles[0].data) == 128 * KIB
    assert opened(bundles) == made


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
USUAL = tuple(RemovedKind)[:8]


def longest_report(letter):
    """Return a tip with every text field at its full length."""
    answers: dict[str, str | tuple[str, ...]] = {}
    for field in SCHEMA.fields:
        values = tuple(choice.value for choice in field.choices)
        one_of = values[-1] if field.type is FieldType.CHOICE else values
        answers[field.name] = one_of if values else (letter * field.max_length)[: field.max_length]
    return Tip(ID, DAY, answers, reply=ReplyTo(bytes(32), "L" * 128), answers_to="L" * 128)


def test_ten_files_with_everything_taken_out_fit_with_the_longest_report():
    """In every script of a site's language, ten files from each of which every kind of thing was taken fit as well."""
    files = tuple(TipFile(f"files/{number}.docx", DOCX, tuple(RemovedKind), b"x") for number in range(1, 11))
    made = replace(longest_report("中"), files=files)
    assert opened(to_bundles(made)) == made


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], include_characters="\n\t"), min_size=1))
def test_no_letter_takes_more_than_its_share(text):
    """In both files together a cleaned character takes at most eight bytes: 15,200 of them leave 9 KiB."""
    empty, made = (Words(Tip(ID, DAY, {"what": what}), (), bytes(32)) for what in ("", text))
    grown = len(words_to_json(made) + words_to_text(made).encode())
    assert grown - len(words_to_json(empty) + words_to_text(empty).encode()) <= 8 * len(text)


def test_text_beyond_one_bundle_is_refused():
    """Words are never more than one bundle, with files or without."""
    for made in (Tip(ID, DAY, {"what": "a" * 70_000}), replace(FULL, answers={"what": "a" * 70_000})):
        with pytest.raises(BundleError, match=r"^too-large$"):
            to_bundles(made)


@pytest.mark.parametrize(
    ("size", "parts"),
    [(0, 1), (127_000, 1), (SLICE_BYTES, 2), (2_700_000, 21), (25_000_000, 193)],
)
def test_files_decide_only_how_many_parts_there_are(size, parts):
    """Files of any size come back from parts of one length."""
    made = with_file(size)
    bundles = to_bundles(made)
    assert len(bundles) == 1 + parts
    assert {len(bundle.data) for bundle in bundles} == {128 * KIB}
    assert opened(bundles) == made


def test_words_are_read_while_parts_are_missing():
    """The words say how many parts there will be; the whole tip needs them all."""
    bundles = to_bundles(with_file(3 * SLICE_BYTES - 1000))
    words = read_words(bundles[0].data)
    assert (words.part_count, words.tip.answers, words.files[0].size) == (3, SMALL.answers, 3 * SLICE_BYTES - 1000)
    with pytest.raises(BundleError, match=r"^parts-missing$"):
        from_bundles(words, [read_part(bundle.data) for bundle in bundles[1:3]])
    assert from_bundles(read_words(SMALL_BUNDLE), []) == SMALL


def test_parts_of_another_tip_do_not_join():
    """Parts join the words with whose key they were made, and no others, though the ids are the same."""
    one, other = to_bundles(FULL), to_bundles(FULL)
    with pytest.raises(BundleError, match=r"^parts-missing$"):
        opened([one[0], *other[1:]])
    words = read_words(one[0].data)
    assert [words.proves(read_part(bundles[1].data)) for bundles in (one, other)] == [True, False]


def files_zip(*files):
    return b"".join(pack_files(dict(files)))


@pytest.mark.parametrize(
    "data",
    [
        files_zip(("files/1.jpg", b"x"), ("files/2.jpg", b"yy")),
        files_zip(("files/2.jpg", b"y"), ("files/1.jpg", b"xx")),
        files_zip(("files/1.jpg", b"xx"), ("files/3.jpg", b"y")),
        files_zip(("files/1.jpg", b"xx"), ("../../2.jpg", b"y")),
        files_zip(("files/1.jpg", b"xx"), ("files/2.jpg", b"y")).replace(b"files/2", b"files/1"),
        files_zip(("files/1.jpg", b"xx"), ("files/2.jpg", b"y"))[:-1] + b"x",
        bytes(len(files_zip(("files/1.jpg", b"xx"), ("files/2.jpg", b"y")))),
        b"x",
    ],
    ids=["sizes", "order", "name", "escaping", "twice", "end", "zeros", "short"],
)
def test_parts_that_hold_other_files_are_refused(data):
    """What the proven parts hold must be the files that the words name, with their sizes and in their order."""
    entries = (FileEntry("files/1.jpg", "image/jpeg", 2, ()), FileEntry("files/2.jpg", "image/jpeg", 1, ()))
    words = Words(SMALL, entries, bytes(32))
    parts = list(split(lambda: [data], len(data), tip=ID, key=words.key, ids=lambda _: tip.new_tip_id()))
    with pytest.raises(BundleError):
        from_bundles(words, parts)
    whole = files_zip(("files/1.jpg", b"xx"), ("files/2.jpg", b"y"))
    good = split(lambda: [whole], len(whole), tip=ID, key=words.key, ids=lambda _: OTHER)
    assert [file.data for file in from_bundles(words, good).files] == [b"xx", b"y"]


def test_too_much_is_refused():
    """Beyond a gibibyte, and beyond ten files, there is no tip."""
    with pytest.raises(BundleError, match=r"^too-large$"):
        Words(SMALL, (FileEntry("files/1.jpg", "image/jpeg", MAX_PARTS * SLICE_BYTES, ()),), bytes(32))
    many = tuple(TipFile(f"files/{number}.jpg", "image/jpeg", (), b"") for number in range(1, 12))
    assert opened(to_bundles(replace(SMALL, files=many[:10]))).files == many[:10]
    entries = tuple(FileEntry(file.path, file.type, 0, ()) for file in many)
    for wrong in (entries, entries[:1] * 2):
        with pytest.raises(BundleError):
            Words(SMALL, wrong, bytes(32))


def test_a_decoy_looks_like_words():
    """A decoy is one bundle of the same length, says what it is, and no two are alike."""
    one, other = tip.new_decoy(), tip.new_decoy()
    assert one.answers != other.answers
    (bundle,) = to_bundles(one)
    assert len(bundle.data) == len(SMALL_BUNDLE) == BUNDLE_BYTES
    assert opened([bundle]) == one
    assert json.loads(words_to_json(read_words(bundle.data)))["decoy"] is True
    assert "Nobody sent it" in text_of(one)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FileEntry("files/../1.jpg", "image/jpeg", 1, ()),
        lambda: FileEntry("files/1.jpg", "jpeg", 1, ()),
        lambda: FileEntry("files/1.jpg", "image/jpeg", -1, ()),
        lambda: FileEntry("files/1.jpg", "image/jpeg", True, ()),
        lambda: FileEntry("files/1.jpg", "image/jpeg", 1.0, ()),
        lambda: FileEntry("files/1.jpg", "image/jpeg", 1, (5,)),
        lambda: Words(FULL, (), bytes(32)),
        lambda: Words(SMALL, (), bytes(31)),
        lambda: to_bundles(replace(SMALL, answers={"what": "\ud800"})),
    ],
)
def test_malformed_words_cannot_be_made(make):
    """A wrong path, size or key, or half a character is refused when it is made."""
    with pytest.raises(BundleError):
        make()


def with_line(line: bytes) -> bytes:
    """Return the bundle of the full tip's words with another `tip.json`."""
    return pack({**unpack(FULL_BUNDLES[0].data, re.compile(".*")), "tip.json": line})


def with_change(change) -> bytes:
    """Return that bundle with something changed in the value of its `tip.json`."""
    fields = json.loads(FULL_JSON)
    change(fields)
    return with_line(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("value", [None, "", 0, False, [], {}, "x", 1.5, ["x"], {"x": "x"}, [[]], {"x": None}])
@pytest.mark.parametrize(
    "field",
    [
        "format",
        "id",
        "received",
        "answers",
        "files",
        "parts",
        "replies",
        "withdraw",
        "reply",
        "answers_to",
        "number",
        "decoy",
        "new",
    ],
)
def test_every_field_of_tip_json_is_checked(field, value):
    """Another value in any field is refused, unless it is one that we could have written."""
    bundle = with_change(lambda fields: fields.update({field: value}))
    fine = {
        ("answers", "{}"),
        ("answers", '{"x": "x"}'),
        ("replies", "{}"),
        ("replies", '{"x": "x"}'),
        ("reply", "null"),
        ("answers_to", "null"),
        ("answers_to", '"x"'),
    }
    if (field, json.dumps(value)) in fine:
        assert words_to_json(read_words(bundle)) == unpack(bundle, re.compile(".*"))["tip.json"]
    else:
        with pytest.raises(BundleError):
            read_words(bundle)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b"9" * 10_000,
        b'"' + b"x" * 100_000 + b'"',
        FULL_JSON + b" ",
        FULL_JSON.replace(b'"danger":"unsure"', b'"danger":"\\ud800"'),
        FULL_JSON.replace(b'"danger":"unsure"', b'"danger":"\\u0075nsure"'),
        FULL_JSON.replace(b'"danger"', b'"danger":"no","danger"'),
        FULL_JSON.replace(b'"danger":"unsure"', b'"danger":NaN'),
        FULL_JSON.replace(b"2026-11-22", b"20261122"),
        FULL_JSON.replace(b"2026-11-22", b"2026-11-22T13:05"),
    ],
)
def test_other_json_is_refused(line):
    """JSON of another form, depth or length raises our error and no other."""
    with pytest.raises(BundleError):
        read_words(with_line(line))


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["files"][0].update(size=500_000),
        lambda fields: fields["files"][0].update(size="1"),
        lambda fields: fields["files"][0].update(size=-1),
        lambda fields: fields["files"][0].update(size=10**30),
        lambda fields: fields["files"][0].pop("size"),
        lambda fields: fields["parts"].update(count=2),
        lambda fields: fields["parts"].update(count=True),
        lambda fields: fields["parts"].update(key="AAAA"),
        lambda fields: fields["parts"].update(more=1),
        lambda fields: fields["parts"].pop("key"),
        lambda fields: fields.pop("parts"),
        lambda fields: fields["files"].append(fields["files"][0]),
        lambda fields: fields["files"][0].update(path="tip.txt"),
        lambda fields: fields["files"][0].update(removed="GPS"),
        lambda fields: fields["reply"].update(key="AAAA"),
        lambda fields: fields["reply"].update(key="é"),
        lambda fields: fields["reply"].update(more=1),
        lambda fields: fields["reply"].pop("locator"),
        lambda fields: fields.pop("reply"),
    ],
)
def test_files_parts_and_reply_are_checked(change):
    """Files listed in another way, a count that the sizes do not give, and a reply of another shape are refused."""
    with pytest.raises(BundleError):
        read_words(with_change(change))


def zipped(*members: tuple[str, bytes], **options) -> bytes:
    """Return a zip of some other program's, filled to the smallest class with a comment-free padding member."""

    def write(fill: int) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", **options) as archive:
            for name, data in (*members, ("padding", bytes(fill))):
                archive.writestr(zipfile.ZipInfo(name), data, options.get("compression"))
        return target.getvalue()

    fill = max(0, 128 * KIB - len(write(0)))
    return write(fill)


TEXTS = tuple(unpack(SMALL_BUNDLE, re.compile(".*")).items())


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        bytes(BUNDLE_BYTES),
        SMALL_BUNDLE[:-1],
        SMALL_BUNDLE + b"\0",
        SMALL_BUNDLE + bytes(7 * BUNDLE_BYTES),
        FULL_BUNDLES[1].data,
        zipped(*TEXTS),
        zipped(*TEXTS, ("../../etc/cron.d/x", b"x")),
        zipped(*TEXTS, ("notes.txt", b"x")),
        zipped(*TEXTS[:1]),
        pack(dict(TEXTS[:1])),
        pack(dict(TEXTS[1:])),
        pack(dict(reversed(TEXTS))),
        pack({**dict(TEXTS), "files/1.jpg": b"x"}),
        pack({**dict(TEXTS), "notes.txt": b"x"}),
        SMALL_BUNDLE.replace(b"tip.txt", b"../.txt"),
        SMALL_BUNDLE.replace(b"tip.txt", b"tip.tx\xe9"),
        SMALL_BUNDLE.replace(b"padding", b"paddin\xe9"),
        SMALL_BUNDLE.replace(b"padding", b"paddinh"),
    ],
)
def test_what_is_not_ours_is_refused(bundle):
    """Another length, another program's zip, an unknown, missing, doubled, moved or escaping member is refused."""
    with pytest.raises(BundleError):
        read_words(bundle)


def test_a_bomb_is_refused_unread():
    """A compressed member is refused without being inflated."""
    bomb = zipped(*TEXTS, ("files/1.jpg", bytes(100 * KIB * KIB)), compression=zipfile.ZIP_DEFLATED)
    padded = bomb + bytes(128 * KIB - len(bomb)) if len(bomb) < 128 * KIB else bomb[: 128 * KIB]
    with pytest.raises(BundleError):
        read_words(padded)
    with pytest.raises(BundleError):
        unpack_files(bomb, re.compile(".*"))


WORDS_BUNDLE = FULL_BUNDLES[0].data


@given(st.data())
def test_damage_is_found(data):
    """Any byte that is changed, wherever it is, is found, even in the padding or in the records of the zip."""
    records = [at for at in range(len(WORDS_BUNDLE)) if WORDS_BUNDLE[at : at + 2] == b"PK"]
    near = data.draw(st.sampled_from(records)) + data.draw(st.integers(0, 80))
    at = data.draw(st.sampled_from([near, data.draw(st.integers(0, len(WORDS_BUNDLE) - 1))]))
    at = min(at, len(WORDS_BUNDLE) - 1)
    flipped = WORDS_BUNDLE[at] ^ data.draw(st.integers(1, 255))
    with pytest.raises(BundleError):
        read_words(WORDS_BUNDLE[:at] + bytes([flipped]) + WORDS_BUNDLE[at + 1 :])


@given(st.binary(max_size=400), st.integers(0, 1000))
def test_garbage_is_no_bundle(data, at):
    """Random bytes in a good bundle's beginning, or alone, raise our error and no other."""
    changed = WORDS_BUNDLE[:at] + data + WORDS_BUNDLE[at + len(data) :]
    for bundle in (data, data.ljust(128 * KIB, b"\0"), changed):
        if bundle != WORDS_BUNDLE:
            with pytest.raises(BundleError):
                read_words(bundle)


def test_other_bundles_use_the_same_two_functions():
    """A bundle with other members is packed and unpacked by the names that are expected of it, and no others."""
    names = re.compile(r"referral\.(json|sig)|data")
    members = {"referral.json": b"{}", "referral.sig": bytes(64), "data": b"x"}
    bundle = pack(members)
    assert len(bundle) == 128 * KIB
    assert unpack(bundle, names) == members
    with pytest.raises(BundleError, match=r"^member$"):
        unpack(bundle, re.compile("tip.json"))


def test_the_first_member_says_what_a_bundle_claims_to_be():
    """The name of the first member is read without a check of the rest; what is no zip has none."""
    assert [first_member(bundle.data) for bundle in FULL_BUNDLES] == ["tip.json", "part.json"]
    assert first_member(pack({"referral.json": b""})) == "referral.json"
    for other in (b"", b"PK\x03\x04", bytes(1000), b"x" * 1000):
        assert first_member(other) == ""


FILES_ZIP = b"".join(pack_files({"files/1.jpg": b"\xff\xd8" + bytes(range(256)), "files/2.pdf": b""}))


@given(st.dictionaries(st.from_regex(r"files/[1-9]\.[a-z]{3}", fullmatch=True), st.binary(max_size=500), max_size=9))
def test_files_come_back_from_their_zip(files):
    """Any files come back in their order from a zip whose length is known beforehand."""
    data = b"".join(pack_files(files))
    assert list(unpack_files(data, re.compile("files/.*")).items()) == list(files.items())
    assert len(data) == files_length({name: len(content) for name, content in files.items()})


@given(st.data())
def test_any_change_of_a_zip_of_files_is_found(data):
    """A byte that is changed, cut or added anywhere in the zip of the files is found."""
    at = data.draw(st.integers(0, len(FILES_ZIP) - 1))
    flipped = bytes([FILES_ZIP[at] ^ data.draw(st.integers(1, 255))])
    changed = (
        FILES_ZIP[:at]
        + data.draw(st.sampled_from([b"", flipped, flipped + FILES_ZIP[at : at + 1]]))
        + FILES_ZIP[at + 1 :]
    )
    with pytest.raises(BundleError):
        unpack_files(changed, re.compile(r"files/[12]\.[a-z]{3}"))
