"""What the desk refuses: each refusal has a code that is safe to log and a sentence that a handler can act on.

A refusal changes nothing. A code that is not in the list is a fault of the program.
"""

from collections.abc import Mapping
from types import MappingProxyType

from app.core.errors import DeskError

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "store-in-use": "Another desk is working on this store. Close it first: two would undo each other's work.",
        "store-key": "This store is sealed to another identity. Name that identity file in desk.toml as well.",
        "store-damaged": "A file of the store is damaged. Put the backup of it back, then start again.",
        "disk-full": "The disk is full, so nothing was changed. Make room, then try again.",
        "disk": "The disk did not take it, so nothing was changed. Look at the disk, then try again.",
        "journal": "The journal was changed by something else than this desk. Run haumaru-desk journal verify.",
        "store-former": "An earlier version made this store. Finish its tips with that version; name a new store here.",
        "parts-missing": "Not all parts of the files are here yet. They come on their own; the words can be worked on.",
        "gone": "There is no such tip. It may have been destroyed when its time was over.",
        "claimed": "Somebody else is working on this tip.",
        "not-claimed": "Claim this tip first, so that two people never work on it at once.",
        "not-open": "This tip is closed. Open it again first.",
        "state": "This tip is not at a point where that can be done. Look at its state.",
        "objectionable": "This tip is locked as objectionable. It is never shown, searched, exported or changed again.",
        "same-person": "The one who prepared a referral cannot also release it. Ask a second person.",
        "changed": "Somebody changed this tip while you worked. Look at it again.",
        "no-authority": "Choose at least one authority.",
        "no-summary": "Write a summary. One sentence is enough.",
        "nothing-left": "Nothing is left to refer. Keep at least one answer.",
        "referral-too-long": "These words do not fit one envelope. Leave out an answer, or shorten the translation.",
        "still-there": "Something that you took out still stands in what would be sent. Take it out there too.",
        "expired": "The key of an authority has expired, so nothing was sealed to it. Ask them for the new one.",
        "unconfirmed": "Confirm the authority's key by voice before its first use, and tick that you did.",
        "no-reply": "The sender left no way to reply.",
        "no-site": "No address for replies is configured: [site] replies in desk.toml.",
        "written": "This reply is in the thread already. It was not written again.",
        "no-words": "Write something first.",
        "too-long": "This is too long. Make it shorter.",
        "reply-link": "A reply must not hold a link or an address: opening it could show who they are.",
        "file": "This file is not part of the tip, or it cannot be shown.",
        "boxes": "These boxes could not be read. Draw them again.",
        "not-a-referral": "This envelope holds no referral.",
        "signature": "The signature is not by this desk's key. Do not rely on anything in it.",
        "handler": "Choose who you are first.",
        "session": "This page belongs to a session that has ended. Use the link that the terminal shows.",
        "origin": "This did not come from a page of this desk, so nothing was done.",
        "token": "This form is from another session, so nothing was done. Load the page again.",
        "host": "This desk answers only under its own address.",
        "busy": "Too much is going on at once. Try again in a moment.",
    }
)
_STATUS = {"gone": 404, "session": 403, "origin": 403, "token": 403, "host": 400, "busy": 503, "file": 404}


class RefusedError(DeskError):
    """A refusal: `code` is a key of `SENTENCES`, `message` its sentence, `answer` the HTTP status of its page."""

    def __init__(self, code: str) -> None:
        self.message = SENTENCES[code]
        self.answer = _STATUS.get(code, 409)
        super().__init__(code)
