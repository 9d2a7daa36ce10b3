"""What the desk keeps on disk holds nothing decrypted: the site's leak test, run on the desk.

Canaries stand in every field, in files, notes, drafts, summaries, searches, replies and translations; the running desk
does everything that it can do with them; then every byte below its folders, and all that it said, is searched.
"""

import base64
import secrets
from pathlib import Path
from urllib.parse import quote

from tests.support.desk import Office, jpeg, picture, program, reply_to, tip, wait_for
from tests.support.paths import read_below

FIELDS = ("what", "where", "when", "people", "victims", "how-known", "odd")
WRITTEN = ("note", "translation", "summary", "term", "reply", "search", "said", "own", "watched")


def canaries():
    """A word of its own for each place."""
    return {name: f"canary{name.replace('-', '')}{secrets.token_hex(6)}" for name in (*FIELDS, *WRITTEN)}


def found(words, roots):
    """Which word stands in which file, plain or in base64, whatever its case."""
    hits = []
    for path, data in read_below(roots).items():
        hay = data.lower() + str(path).lower().encode()
        hits += [f"{name} in {path}" for name, word in words.items() for form in forms(word) if form in hay]
    return hits


def forms(word):
    """A word as it may stand in a file."""
    raw = word.encode()
    shifted = [base64.b64encode(b"\0" * by + raw)[4:-4].lower() for by in range(3)]
    return [raw.lower(), raw.hex().encode(), word.encode("utf-16-le").lower(), *shifted]


def test_nothing_decrypted_is_ever_on_the_disk(tmp_path):
    """After reading, redacting, referring, replying, exporting and closing, no canary is in any file or line."""
    words = canaries()
    (tmp_path / "office").mkdir()
    (tmp_path / "tmp").mkdir()
    office = Office(tmp_path / "office")
    answers = {name: f"I saw {words[name]} there and told nobody of it" for name in FIELDS}
    one = office.drop(tip(answers, reply=reply_to(), files=(jpeg(1, picture(1600, 1600)),)))
    said = {"languages": words["said"], "locked-in": "yes"}
    other = office.drop(tip({"what": words["what"]}, answers_to=reply_to().locator, reply=reply_to(), replies=said))
    (office.inbox / f"{'0' * 26}.age").write_bytes(b"age-encryption.org/v1\nnot one")
    env = {"DESK_PORT": "0", "TMPDIR": str(tmp_path / "tmp")}
    with program(office.config, env=env) as desk:
        desk.enter("Ana")
        wait_for(lambda: one in desk.get("/"))
        assert words["what"] in desk.get(f"/tips/{one}")
        assert words["what"] in desk.get(f"/?words={words['what']}&view=open")
        desk.get(f"/?words={quote(words['search'])}")
        desk.post(f"/tips/{one}/claim")
        assert desk.request("GET", f"/tips/{one}/files/1")[0] == 200
        desk.post(f"/tips/{one}/note", text=words["note"])
        desk.post(f"/tips/{one}/translation", text=words["translation"])
        fields = {
            "keep": ["what", "where"],
            "summary": words["summary"],
            "authority": ["police"],
            "terms": words["term"],
        }
        desk.post(f"/tips/{one}/redact", m="what:6-12", file="files/1.jpg", **fields)
        desk.post(f"/tips/{one}/boxes/1", boxes="1 10 10 50 50")
        desk.post(f"/tips/{one}/reword/watch", name="what", text=f"half of {words['watched']}")
        seen = desk.get(f"/tips/{one}/reword").partition('name="seen" value="')[2].partition('"')[0]
        own = {"name-1": "what", "way-1": "own", "text-1": f"It is {words['own']}"}
        assert desk.post(f"/tips/{one}/reword", seen=seen, **own)[0] == 303
        look = desk.get(f"/tips/{one}/refer")
        assert words["where"] in look
        assert words["own"] in look
        assert desk.request("GET", f"/tips/{one}/burnt/1")[0] == 200
        version = desk.get(f"/tips/{one}/refer").partition('name="version" value="')[2].partition('"')[0]
        desk.post(f"/tips/{one}/refer", version=version, confirmed="police")
        wait_for(lambda: office.referred("police"))
        desk.post(f"/tips/{one}/reply", text=f"thank you {words['reply']}")
        desk.post(f"/tips/{one}/questions", question=["locked-in", "languages"])
        assert words["said"] in desk.get(f"/tips/{one}/reply")
        desk.request("POST", f"/tips/{one}/export", f"token={desk.token}&as=zip")
        desk.request("POST", f"/tips/{one}/nowhere", f"token={desk.token}&x={words['what']}")
        desk.get(f"/tips/{words['what']}")
        desk.post(f"/tips/{one}/close", reason="finished")
        assert other
        hits = found(words, [office.folder, tmp_path / "tmp"])
        handles = [path.readlink() for path in Path(f"/proc/{desk.process.pid}/fd").iterdir() if path.is_symlink()]
        said, faults = desk.stop()
    assert hits == []
    assert [str(path) for path in handles if "(deleted)" in str(path)] == [], "no file was opened and unlinked"
    assert not [word for word in words.values() if word in said + faults]


def test_a_planted_leak_is_found(tmp_path):
    """The search can fail: a canary in a name, in base64, in UTF-16 or in capitals is found."""
    word = {"x": "canaryplanted1234567890"}
    for name, data in (
        ("a", word["x"].upper().encode()),
        ("b", base64.b64encode(b"zz" + word["x"].encode() + b"zz")),
        ("c", word["x"].encode("utf-16-le")),
        (word["x"], b""),
    ):
        folder = tmp_path / secrets.token_hex(4)
        folder.mkdir()
        (folder / name).write_bytes(data)
        assert found(word, [folder]), name
