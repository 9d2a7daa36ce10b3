"""What the desk refuses: each refusal has a code that is safe to log and a sentence that a handler can act on.

A refusal changes nothing. A code that is not in the list is a fault of the program.
"""

from collections.abc import Mapping
from types import MappingProxyType

from app.core.errors import DeskError

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "store-in-use": "Another desk uses this store. Close it first: two desks would undo each other's work.",
        "store-key": "This store is sealed to another identity. Add that identity file to desk.toml.",
        "store-damaged": "A file in the store is damaged. Restore the file from a backup, then start the desk again.",
        "disk-full": "The disk is full, so nothing was changed. Make room on the disk, then try again.",
        "disk": "The desk could not write to the disk, so nothing was changed. Check the disk, then try again.",
        "journal": "The journal was changed, and not by this desk. Copy the store, and tell the person in charge.",
        "store-former": "An earlier version made this store. Finish its tips with it, and name a new store here.",
        "parts-missing": "Some parts of the files are not here yet. They will come on their own. Read the words now.",
        "gone": "The desk cannot find this. It may have been destroyed at the end of its time.",
        "claimed": "Another person is working on this tip.",
        "colleague": "Choose the colleague to whom you give the tip.",
        "day": "Choose a day from today on, within two years.",
        "not-claimed": "Claim this tip first. Then two people cannot change the tip at once.",
        "not-open": "This tip is closed. Open the tip again first.",
        "state": "You cannot do that in the tip's present state. Look at the state on the tip's page.",
        "objectionable": "This tip is locked as objectionable. Nobody can show, search, export or change it again.",
        "same-person": "The person who prepared a referral cannot also release it. Ask a second person.",
        "changed": "This tip was changed while you worked. Look at the tip again.",
        "saved-meanwhile": "Something else was saved here while you wrote. Compare the two, then save again.",
        "no-authority": "Choose at least one authority.",
        "no-reason": "Choose a reason first. Then close the tip.",
        "not-referred": "This tip was not referred, so it cannot be “Referred and finished”. Choose another reason.",
        "danger": "The sender says that someone is in danger now. Call 111 first, tick the box, then close the tip.",
        "repeats": "The desk cannot call this tip a repeat of that one. Choose another tip, or another reason.",
        "no-tips": "Choose at least one other tip first.",
        "no-number": "No tip here has that number. Copy the first six letters or more from the other tip's page.",
        "joined": "Somebody joined one of these tips with another meanwhile. Look at the tips again.",
        "many-joined": "One tip can lead 100 others at most. Join fewer tips.",
        "not-joined": "This tip is not joined with another.",
        "thread-answer": "This is an answer to another tip. Join that tip instead.",
        "no-summary": "Write a summary first. One sentence is enough.",
        "nothing-left": "There is nothing to refer. Keep at least one answer.",
        "referral-too-long": "The words are too long for one envelope. Leave an answer out, or make the text shorter.",
        "still-there": "Words that you took out still stand in the referral or its summary. Take them out too.",
        "translation-new": "The translation is new or was changed. Redact its words first, then save.",
        "leftover": "Your own words hold something that was taken out or is the sender's. Change or allow each place.",
        "no-own-words": "You chose your own words for an answer and wrote none. Write some, or choose another way.",
        "expired": "The key of an authority has expired, so nothing was sent. Ask for the new key.",
        "unconfirmed": "This key is new. Call the authority, compare the key by voice, then tick the box.",
        "no-reply": "The sender did not ask for a reply, so you cannot write back.",
        "no-site": "This desk does not know where to send replies. Set [site] replies in desk.toml.",
        "asked-back": "The sender asked you not to pass this tip on. To do so, choose the reason why you must.",
        "request": "The sender asked you not to pass this tip on. Answer that on the tip's page first.",
        "answered": "The request was answered before. Look at the tip again.",
        "no-answer": "Choose an answer to the sender first.",
        "passed-on": "This tip has left the desk, so you cannot say that it was not passed on. Choose another answer.",
        "promised": "You told the sender that this tip will be destroyed, so nobody can open it again.",
        "posted": "This has left for the site, so the desk cannot hold it back any more.",
        "written": "This reply was saved before. The desk did not save the reply again.",
        "no-question": "Tick at least one question first.",
        "many-questions": "Tick five questions at most. Each question takes one of the messages that leave every hour.",
        "question-decided": "Somebody decided about this question before. Look at what became of it.",
        "question-party": "This authority is not in desk.toml any more, so you cannot answer it.",
        "question-reason": "Choose why you decline the question first.",
        "question-other": "An answer goes to the authority that asked, and to no other. Look at the tip again.",
        "no-words": "Write something first.",
        "too-long": "Your text is too long. Make the text shorter.",
        "ready-text": "Choose a ready text and a language first.",
        "reply-link": "Take the link or address out of your reply. Opening a link could show who the sender is.",
        "file": "This file is not part of the tip, or the desk cannot show the file.",
        "many-words": "The desk takes out 200 words everywhere at most, so nothing was saved. Leave out whole answers.",
        "boxes": "The desk could not read these boxes. Draw the boxes again.",
        "not-a-referral": "This envelope holds no referral.",
        "signature": "This desk's key did not make the signature. Do not rely on anything in the envelope.",
        "no-agency": "Figures need the id that the site gives your agency. Set [site] replies and agency in desk.toml.",
        "no-month": "There are no figures to publish yet. A month is counted a week after the month is over.",
        "handler": "Choose who you are first.",
        "session": "Your session has ended. Open the link that the terminal shows now.",
        "idle": "The desk locked, because nobody used it for 15 minutes. Open the link that the terminal shows now.",
        "origin": "A page outside this desk asked for this, so nothing was done.",
        "token": "This form belongs to another session, so nothing was done. Load the page again.",
        "host": "This desk works only at its own address. Open the link that the terminal shows.",
        "busy": "The desk is busy. Try again in a minute.",
        "seat-name": "This name cannot be used for a seat. Write a name with 1 to 60 letters.",
        "seat-taken": "A seat has or had this name. Choose another name: a name is never used again.",
        "seats-full": "This desk has 200 seats, and takes no more.",
        "no-role": "Choose a role first.",
        "seat-gone": "There is no such seat.",
        "many-keys": "A seat can have five keys. Ask a supervisor to take them away and to make a new link.",
        "wrong-passphrase": "The passphrase is wrong. Try again.",
        "seat-changed": "This seat was changed while you worked. Nothing was done. Look at the seat again.",
        "seat-link": "This link does not work. Each link works once, within a day. Ask a supervisor for a new link.",
        "own-seat": "Nobody can change their own seat. Ask another supervisor.",
        "seat-not-used": "Nobody who works on tips uses this seat now. Nothing was done.",
        "seat-confirmed": "You gave the link of this seat, or confirmed it before. Another colleague must confirm it.",
        "not-counted": "Your seat does not count as one of two people yet. Your seat's page says who can confirm it.",
        "preparer-not-counted": "The seat of the person who prepared this was made or recovered, and no colleague has "
        "confirmed it yet. So you two do not count as two people. A colleague can confirm that seat, or another person "
        "can prepare this again.",
        "last-supervisor": "At least one supervisor must stay who can sign in. Nothing was changed.",
        "role": "Your seat may not do this. Ask a supervisor.",
        "passphrase-short": "The passphrase is too short. Use at least 12 characters, for example four words.",
        "passphrase-long": "The passphrase is too long. Use at most 200 characters.",
        "passphrase-again": "The two new passphrases are not the same. Write the new passphrase again, twice.",
        "passphrase-same": "This is your passphrase now. Choose another one.",
        "passphrase-letters": "This passphrase has few different letters. Use four words that do not belong together.",
        "passphrase-common": "Many people use this passphrase, so a thief tries it early. Use four words that do not "
        "belong together.",
        "passphrase-context": "This passphrase is little more than your name, the name of the desk, or a word that a "
        "thief tries first. Use four words that do not belong together.",
        "security-key": "The key did not answer as it should, so nothing was done. Try again.",
        "signed-out": "You are not signed in any more, so nothing was done. Sign in again.",
        "host-name": "This desk works only under its own name. Use the address that a supervisor gave you.",
        "confirm-role": "This key is new. Only a supervisor can confirm it: ask one to compare the key by voice.",
        "copied-key": "This key may have been copied, so nobody can sign in with it. Tell a supervisor at once.",
    }
)
_FORBIDDEN = ("signed-out", "session", "idle", "origin", "token", "role", "security-key", "copied-key")
_STATUS = {
    "gone": 404,
    "host": 400,
    "host-name": 400,
    "busy": 503,
    "file": 404,
    "seat-gone": 404,
    "seat-link": 404,
    **dict.fromkeys(_FORBIDDEN, 403),
}


class RefusedError(DeskError):
    """A refusal: `code` is a key of `SENTENCES`, `message` its sentence, `answer` the HTTP status of its page."""

    def __init__(self, code: str) -> None:
        self.message = SENTENCES[code]
        self.answer = _STATUS.get(code, 409)
        super().__init__(code)
