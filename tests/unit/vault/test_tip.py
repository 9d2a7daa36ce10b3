"""The tip and its bundle: what goes in comes out, in exactly a size class, and nothing else is taken."""

import io
import json
import re
import subprocess
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import BundleError
from app.vault import keys, tip
from app.vault.age import MAX_RECIPIENTS, seal
from app.vault.bundle import SIZE_CLASSES, pack, size_class, unpack
from app.vault.tip import SCHEMA, ReplyTo, Tip, TipFile, tip_from_bundle, tip_to_bundle, tip_to_json, tip_to_text

KIB = 1024
DAY = date(2026, 11, 22)
ID = tip.TipId("0123456789abcdefghjkmnpqrs")
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
FULL_BUNDLE = tip_to_bundle(FULL)

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
    """Any tip comes back from its bundle as it was, and makes the same bundle again."""
    bundle = tip_to_bundle(made)
    assert len(bundle) in SIZE_CLASSES.values()
    assert tip_from_bundle(bundle) == made
    assert tip_to_bundle(tip_from_bundle(bundle)) == bundle


def test_tip_json_is_as_the_contract_says():
    """`tip.json` has the contract's fields, in UTF-8 that is not escaped."""
    line = tip_to_json(FULL).decode()
    assert "येवला" in line
    assert json.loads(line) == {
        "format": "haumaru-tip/1",
        "id": ID,
        "received": "2026-11-22",
        "answers": {"what": FULL.answers["what"], "kinds": ["work", "debt"], "danger": "unsure"},
        "files": [
            {"path": "files/1.jpg", "type": "image/jpeg", "removed": ["GPS position", "camera"]},
            {"path": "files/3.pdf", "type": "application/pdf", "removed": []},
        ],
        "reply": {"key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "locator": LOCATOR},
        "answers_to": "earlier",
    }
    assert json.loads(tip_to_json(SMALL))["reply"] is None
    assert "decoy" not in json.loads(tip_to_json(SMALL))


def test_tip_txt_can_be_read_by_a_person():
    """`tip.txt` has labels in English, the answers as they were written, and what was taken out of the files."""
    text = tip_to_text(FULL)
    for line in (
        f"Report: {ID}",
        "Received: 2026-11-22",
        "Can be answered: yes",
        "In answer to your reply: earlier",
        "What is happening:\n  येवला में\n  1 < 2 & \"3\" \\ '4'\t🙂\n",
        "What it is about:\n  work, debt\n",
        "Is someone in danger now:\n  unsure\n",
        "  files/1.jpg (image/jpeg): GPS position, camera\n",
        "  files/3.pdf (application/pdf): nothing was found\n",
    ):
        assert line in text
    assert "Can be answered: no" in tip_to_text(SMALL)


def test_tip_txt_steers_no_terminal():
    """Control characters and turned lines do not reach who reads `tip.txt`, and no answer passes for a label."""
    steering = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E, 0x2066]))
    text = tip_to_text(Tip(ID, DAY, {"what": f"{steering}\nReceived: 1999-01-01", "kinds": ("a\x1b[2Jb\nc",)}))
    assert set(text) & set(steering) == {"\n", "\t"}
    assert "\nReceived: 1999-01-01" not in text
    assert re.findall(r"^\S.*:$", text, re.MULTILINE) == ["What is happening:", "What it is about:"]


@pytest.mark.needs("unzip")
def test_other_tools_open_a_bundle(tmp_path):
    """Python's own zipfile and `unzip` check and unpack every member; every time is 1980-01-01."""
    (tmp_path / "tip.zip").write_bytes(tip_to_bundle(FULL))
    with zipfile.ZipFile(tmp_path / "tip.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["tip.json", "tip.txt", "files/1.jpg", "files/3.pdf", "padding"]
        assert archive.read("files/1.jpg") == FULL.files[0].data
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.extra + info.comment for info in archive.infolist()} == {b""}
        archive.extractall(tmp_path / "python")
    assert (tmp_path / "python/tip.json").read_bytes() == tip_to_json(FULL)
    subprocess.run(["unzip", "-q", "-d", "unzip", "tip.zip"], cwd=tmp_path, check=True)
    assert (tmp_path / "unzip/tip.txt").read_text(encoding="utf-8") == tip_to_text(FULL)


@pytest.mark.parametrize("letter", ["a", "ā", "中", "🙂", '"', "\\", "\n", "\t", "\u2028", "\u202e", "\x7f", "\n🙂"])
def test_the_longest_report_fits_the_smallest_class(letter):
    """Every text field at its full length, in any script, with every box ticked, is 128 KiB."""
    answers: dict[str, str | tuple[str, ...]] = {"danger": "unsure", "children": "unsure"}
    answers |= {
        name: (letter * limit)[:limit] for name in SCHEMA.text_names for limit in [SCHEMA.field(name).max_length]
    }
    answers["kinds"] = tuple(kind.value for kind in SCHEMA.kinds)
    made = Tip(ID, DAY, answers, reply=ReplyTo(bytes(32), "L" * 128), answers_to="L" * 128)
    bundle = tip_to_bundle(made)
    assert len(bundle) == 128 * KIB
    assert tip_from_bundle(bundle) == made


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], include_characters="\n\t"), min_size=1))
def test_no_letter_takes_more_than_its_share(text):
    """In both files together a cleaned character takes at most eight bytes: 15,000 of them leave 11 KiB."""
    empty, made = Tip(ID, DAY, {"what": ""}), Tip(ID, DAY, {"what": text})
    grown = len(tip_to_json(made) + tip_to_text(made).encode()) - len(tip_to_json(empty) + tip_to_text(empty).encode())
    assert grown <= 8 * len(text)


def test_text_beyond_the_smallest_class_is_refused():
    """A tip without files is never of a larger class: it would say that its text is long."""
    long = Tip(ID, DAY, {"what": "a" * 70_000})
    with pytest.raises(BundleError, match=r"^too-large$"):
        tip_to_bundle(long)
    with pytest.raises(BundleError, match=r"^too-large$"):
        tip_to_bundle(replace(FULL, answers={"what": "a" * 140_000}))


@pytest.mark.parametrize(
    ("size", "name"),
    [(0, "128KiB"), (127_000, "128KiB"), (128 * KIB, "1MiB"), (2_000_000, "8MiB"), (25_000_000, "32MiB")],
)
def test_files_choose_the_class(size, name):
    """A bundle is of the smallest class that holds its files."""
    made = replace(SMALL, files=(TipFile("files/1.jpg", "image/jpeg", (), bytes(size)),))
    bundle = tip_to_bundle(made)
    assert len(bundle) == SIZE_CLASSES[name]
    assert tip_from_bundle(bundle) == made


def test_too_much_is_refused():
    """Beyond the last class, and beyond ten files, there is no bundle."""
    with pytest.raises(BundleError, match=r"^too-large$"):
        tip_to_bundle(replace(SMALL, files=(TipFile("files/1.jpg", "image/jpeg", (), bytes(33 * KIB * KIB)),)))
    many = tuple(TipFile(f"files/{number}.jpg", "image/jpeg", (), b"") for number in range(1, 12))
    assert tip_from_bundle(tip_to_bundle(replace(SMALL, files=many[:10]))).files == many[:10]
    with pytest.raises(BundleError):
        replace(SMALL, files=many)
    with pytest.raises(BundleError):
        replace(SMALL, files=many[:1] * 2)


@pytest.mark.parametrize("size", [0, 126 * KIB, 1000 * KIB, 8000 * KIB, 30_000 * KIB])
def test_an_envelope_s_length_names_its_class(size):
    """The class is read off an envelope, whether it was sealed to one recipient or to as many as may be."""
    bundle = pack({"x": bytes(size)})
    recipient = keys.recipient_of(keys.new_identity())
    for count in (1, MAX_RECIPIENTS):
        assert SIZE_CLASSES[size_class(len(seal(bundle, [recipient] * count)))] == len(bundle)


@pytest.mark.parametrize("length", [0, 1000, 128 * KIB, 64 * KIB * KIB, 10**12])
def test_other_lengths_have_no_class(length):
    """A length that no envelope has is refused."""
    with pytest.raises(BundleError, match=r"^length$"):
        size_class(length)


def test_decoys_look_like_a_small_tip():
    """A decoy is of the smallest class, says what it is, and no two are alike."""
    one, other = tip.new_decoy(), tip.new_decoy()
    assert one.decoy
    assert one.id != other.id
    assert one.answers != other.answers
    assert len(tip_to_bundle(one)) == len(tip_to_bundle(SMALL)) == 128 * KIB
    assert tip_from_bundle(tip_to_bundle(one)) == one
    assert json.loads(tip_to_json(one))["decoy"] is True
    assert "Nobody sent it" in tip_to_text(one)


def test_ids_are_random_and_hold_no_order():
    """A thousand ids differ, are 26 letters of the alphabet, and do not come in order."""
    ids = [tip.new_tip_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert ids != sorted(ids)
    assert all(tip.parse_tip_id(text) == text for text in ids)
    assert set("".join(ids)) == set("0123456789abcdefghjkmnpqrstvwxyz")


@pytest.mark.parametrize("text", ["", ID[:-1], ID + "0", ID.upper(), "../" + ID[3:], "i" * 26, ID + "\n", "٣" * 26])
def test_other_ids_are_refused(text):
    """What is not exactly such an id cannot become a file's name."""
    with pytest.raises(BundleError, match=r"^id$"):
        tip.parse_tip_id(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(SMALL, id="x"),
        lambda: replace(SMALL, received=datetime(2026, 11, 22, 13, 5, tzinfo=UTC)),
        lambda: replace(SMALL, answers={"what": 5}),
        lambda: replace(SMALL, answers={"what": ("a", None)}),
        lambda: replace(SMALL, answers={"What?": "a"}),
        lambda: replace(SMALL, answers_to="two words"),
        lambda: replace(SMALL, decoy=1),
        lambda: TipFile("files/../1.jpg", "image/jpeg", (), b""),
        lambda: TipFile("/etc/passwd", "image/jpeg", (), b""),
        lambda: TipFile("files/0.jpg", "image/jpeg", (), b""),
        lambda: TipFile("files/1.jpg\n", "image/jpeg", (), b""),
        lambda: TipFile("files/1.jpg", "jpeg", (), b""),
        lambda: TipFile("files/1.jpg", "image/jpeg", (5,), b""),
        lambda: ReplyTo(bytes(31), "L"),
        lambda: ReplyTo(bytes(32), ""),
        lambda: tip_to_bundle(replace(SMALL, answers={"what": "\ud800"})),
    ],
)
def test_a_malformed_tip_cannot_be_made(make):
    """A time, a path that leaves its folder, a wrong type or half a character is refused when it is made."""
    with pytest.raises(BundleError):
        make()


def with_line(line: bytes) -> bytes:
    """Return the full tip's bundle with another `tip.json`."""
    return pack({**unpack(FULL_BUNDLE, re.compile(".*")), "tip.json": line})


def with_change(change) -> bytes:
    """Return the full tip's bundle with something changed in the value of its `tip.json`."""
    fields = json.loads(tip_to_json(FULL))
    change(fields)
    return with_line(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("value", [None, "", 0, False, [], {}, "x", 1.5, ["x"], {"x": "x"}, [[]], {"x": None}])
@pytest.mark.parametrize(
    "field", ["format", "id", "received", "answers", "files", "reply", "answers_to", "decoy", "new"]
)
def test_every_field_of_tip_json_is_checked(field, value):
    """Another value in any field is refused, unless it is one that we could have written."""
    bundle = with_change(lambda fields: fields.update({field: value}))
    fine = {
        ("answers", "{}"),
        ("answers", '{"x": "x"}'),
        ("reply", "null"),
        ("answers_to", "null"),
        ("answers_to", '"x"'),
    }
    if (field, json.dumps(value)) in fine:
        assert tip_to_bundle(tip_from_bundle(bundle)) == with_text_of(bundle)
    else:
        with pytest.raises(BundleError):
            tip_from_bundle(bundle)


def with_text_of(bundle: bytes) -> bytes:
    """Return the bundle with the `tip.txt` that belongs to its `tip.json`."""
    members = unpack(bundle, re.compile(".*"))
    return pack({**members, "tip.txt": tip_to_text(tip_from_bundle(bundle)).encode()})


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
        b'"' + b"x" * 200_000 + b'"',
        tip_to_json(FULL) + b" ",
        tip_to_json(FULL).replace(b'"danger":"unsure"', b'"danger":"\\ud800"'),
        tip_to_json(FULL).replace(b'"danger":"unsure"', b'"danger":"\\u0075nsure"'),
        tip_to_json(FULL).replace(b'"danger"', b'"danger":"no","danger"'),
        tip_to_json(FULL).replace(b'"danger":"unsure"', b'"danger":NaN'),
        tip_to_json(FULL).replace(b"2026-11-22", b"20261122"),
        tip_to_json(FULL).replace(b"2026-11-22", b"2026-11-22T13:05"),
    ],
)
def test_other_json_is_refused(line):
    """JSON of another form, depth or length raises our error and no other."""
    with pytest.raises(BundleError):
        tip_from_bundle(with_line(line))


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields["files"].reverse(),
        lambda fields: fields["files"].pop(),
        lambda fields: fields["files"].append(fields["files"][0]),
        lambda fields: fields["files"][0].update(path="tip.txt"),
        lambda fields: fields["files"][0].update(path="files/2.jpg"),
        lambda fields: fields["files"][0].update(removed="GPS"),
        lambda fields: fields["reply"].update(key="AAAA"),
        lambda fields: fields["reply"].update(key="é"),
        lambda fields: fields["reply"].update(more=1),
        lambda fields: fields["reply"].pop("locator"),
        lambda fields: fields.pop("reply"),
    ],
)
def test_files_and_reply_are_checked(change):
    """Files that are not there, not listed or listed otherwise, and a reply of another shape, are refused."""
    with pytest.raises(BundleError):
        tip_from_bundle(with_change(change))


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


TEXTS = (("tip.json", tip_to_json(SMALL)), ("tip.txt", tip_to_text(SMALL).encode()))


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        bytes(128 * KIB),
        tip_to_bundle(SMALL)[:-1],
        tip_to_bundle(SMALL) + b"\0",
        tip_to_bundle(SMALL) + bytes(1024 * KIB - 128 * KIB),
        zipped(*TEXTS),
        zipped(*TEXTS, ("../../etc/cron.d/x", b"x")),
        zipped(*TEXTS, ("files/../x.jpg", b"x")),
        zipped(*TEXTS, ("/x.jpg", b"x")),
        zipped(*TEXTS, ("files\\1.jpg", b"x")),
        zipped(*TEXTS, ("notes.txt", b"x")),
        pack({**dict(TEXTS), "files/1.jpg": b"", "files/2.jpg": b""}).replace(b"2.jpg", b"1.jpg"),
        zipped(*TEXTS[:1]),
        zipped(*TEXTS[1:]),
        pack(dict(TEXTS[:1])),
        pack(dict(TEXTS[1:])),
        pack(dict(reversed(TEXTS))),
        pack({**dict(TEXTS), "files/1.jpg": b"x"}),
        pack({**dict(TEXTS), "notes.txt": b"x"}),
        pack({**dict(TEXTS), "tip.txt": bytes(200 * KIB)}),
        tip_to_bundle(SMALL).replace(b"tip.txt", b"../.txt"),
        tip_to_bundle(SMALL).replace(b"padding", b"paddin\xe9"),
    ],
)
def test_what_is_not_ours_is_refused(bundle):
    """Another length, another program's zip, an unknown, missing, doubled, moved or escaping member is refused."""
    with pytest.raises(BundleError):
        tip_from_bundle(bundle)


def test_a_bomb_is_refused_unread():
    """A compressed member is refused without being inflated."""
    bomb = zipped(*TEXTS, ("files/1.jpg", bytes(100 * KIB * KIB)), compression=zipfile.ZIP_DEFLATED)
    padded = bomb + bytes(128 * KIB - len(bomb)) if len(bomb) < 128 * KIB else bomb[: 128 * KIB]
    with pytest.raises(BundleError):
        tip_from_bundle(padded)


@given(st.data())
def test_damage_is_found(data):
    """Any byte that is changed, wherever it is, is found, even in the padding or in the records of the zip."""
    records = [at for at in range(len(FULL_BUNDLE)) if FULL_BUNDLE[at : at + 2] == b"PK"]
    near = data.draw(st.sampled_from(records)) + data.draw(st.integers(0, 80))
    at = data.draw(st.sampled_from([near, data.draw(st.integers(0, len(FULL_BUNDLE) - 1))]))
    at = min(at, len(FULL_BUNDLE) - 1)
    flipped = FULL_BUNDLE[at] ^ data.draw(st.integers(1, 255))
    with pytest.raises(BundleError):
        tip_from_bundle(FULL_BUNDLE[:at] + bytes([flipped]) + FULL_BUNDLE[at + 1 :])


@given(st.binary(max_size=400), st.integers(0, 1000))
def test_garbage_is_no_bundle(data, at):
    """Random bytes in a good bundle's beginning, or alone, raise our error and no other."""
    changed = FULL_BUNDLE[:at] + data + FULL_BUNDLE[at + len(data) :]
    for bundle in (data, data.ljust(128 * KIB, b"\0"), changed):
        if bundle != FULL_BUNDLE:
            with pytest.raises(BundleError):
                tip_from_bundle(bundle)


def test_other_bundles_use_the_same_two_functions():
    """A bundle with other members is packed and unpacked by the names that are expected of it, and no others."""
    names = re.compile(r"referral\.(json|sig)|files/[0-9]+\.jpg")
    members = {"referral.json": b"{}", "referral.sig": bytes(64), "files/1.jpg": b"x"}
    bundle = pack(members)
    assert len(bundle) == 128 * KIB
    assert unpack(bundle, names) == members
    with pytest.raises(BundleError, match=r"^member$"):
        unpack(bundle, re.compile("tip.json"))
