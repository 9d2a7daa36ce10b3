"""The tree of all errors of the program, so that a command or a server can handle all of them alike.

    HaumaruError
    ├── ConfigError            a configuration with faults; holds every fault
    ├── KeyTextError           a text that is no recipient, identity or key file
    ├── EnvelopeError          not an envelope, damaged, or sealed to other identities
    ├── BundleError            an opened envelope without a bundle of this program
    ├── SignatureError         a signature that the expected key did not make
    ├── OutcomesError          published figures that are not to be shown
    ├── OutboxError            not stored, so not sent
    │   ├── AlreadySentError   this very form was sent before
    │   ├── HeldGoneError      a held tip that has expired, or never existed
    │   │   └── HeldDestroyedError  a held tip that its sender destroyed
    │   ├── HeldFullError      no room to hold another tip with files
    │   ├── HeldLimitError     a held tip whose time cannot be extended
    │   ├── WordsFullError     too many tips' words wait already
    │   └── MemoryStoreError   the memory store is away; no envelope is lost
    ├── DeliveryError          the agency did not take an envelope; a later try follows
    ├── FileRefusedError       one attached file cannot be made safe
    ├── ReplyError             a faulty reply, receipt code or reply post
    │   ├── CodeError          a text that is no receipt code; holds its wrong words
    │   └── ReplyKnownError    a reply post that was stored before
    ├── BusyError              too many requests at once
    ├── RateError              a rate limit; holds the seconds until the next try
    └── DeskError              an action that the desk refuses

Each error has a `code`, an HTTP status, and a `message`. The code is safe to log, because no code holds what a visitor
sent. The message is an English sentence that a person can act on, and is also the key of its translations.
"""

from collections.abc import Sequence
from typing import Any, ClassVar


def N_(message: str) -> str:  # noqa: N802
    """Mark a sentence for the translators' catalogues; return the sentence untranslated."""
    return message


class HaumaruError(Exception):
    """The root of the tree; a `code` given to the constructor names one of several causes."""

    code: str = "error"
    status: ClassVar[int] = 500
    message: str = N_("Something went wrong on our side. Nothing was sent.")

    def __init__(self, code: str | None = None) -> None:
        if code is not None:
            self.code = code
        super().__init__(self.code)


class ConfigError(HaumaruError):
    """A configuration with faults, all reported together, each with its remedy."""

    code = "config"

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__()

    def __str__(self) -> str:
        return "\n".join(self.faults)


class KeyTextError(HaumaruError):
    """A text that is no recipient or identity, or a key file that does not open."""

    code = "key"
    status = 400


class EnvelopeError(HaumaruError):
    """The one error of sealing and opening; its code names the cause."""

    code = "envelope"
    status = 400


class BundleError(HaumaruError):
    """The bytes inside an envelope are not a bundle that this program made."""

    code = "bundle"
    status = 400


class SignatureError(HaumaruError):
    """A signature by another key or over other bytes, or (`signature-form`) a text that is no signature."""

    code = "signature"
    status = 403


class OutcomesError(HaumaruError):
    """A file of published figures that must not be shown; its code names the cause."""

    code = "outcomes-form"
    status = 400


class OutboxError(HaumaruError):
    """An envelope could not be stored durably."""

    code = "outbox"
    status = 503
    message = N_("We could not keep your report safe, so your report was not sent.")


class AlreadySentError(OutboxError):
    """The nonce of this form has been used."""

    code = "already-sent"
    status = 409
    message = N_("This report has already been sent. Your report was not sent again.")


class HeldGoneError(OutboxError):
    """The held tip was sent too long ago to be remembered, or has expired, or never existed."""

    code = "held-gone"
    status = 410
    message = N_(
        "Nothing was sent just now. Your files are no longer here. "
        "Your report was sent before, or its time ran out and we deleted your files."
    )


class HeldDestroyedError(HeldGoneError):
    """The sender destroyed the held tip, and the tip was never sent."""

    code = "held-destroyed"
    message = N_("Your report and its files have been deleted from this site.")


class HeldFullError(OutboxError):
    """Held tips have reached their limit."""

    code = "held-full"
    message = N_("We cannot accept files at the moment. Please send your report without files.")


class MemoryStoreError(OutboxError):
    """The memory store failed: the store is away, full or damaged."""

    code = "memory-store"


class HeldLimitError(OutboxError):
    """A held tip has been held for the longest time that is allowed."""

    code = "held-limit"
    status = 409
    message = N_("We cannot keep this report any longer. Send or delete your report now.")


class WordsFullError(OutboxError):
    """The words of too many tips wait to leave, so this tip was not taken."""

    code = "words-full"
    status = 429


class DeliveryError(HaumaruError):
    """An agency's server refused, failed or was unreachable; `haumaru status` shows the `code`.

    `permanent` means that the agency refused this envelope but may still take other envelopes.
    """

    code = "delivery"

    def __init__(self, code: str, *, permanent: bool = False) -> None:
        self.permanent = permanent
        super().__init__(code)


class FileRefusedError(HaumaruError):
    """One file cannot be made safe; the other files and the text are kept."""

    code = "file"
    status = 422
    message = N_("We could not make this file safe, so the file was not added.")


class ReplyError(HaumaruError):
    """There is no such reply (every caller gets this one answer), or no configured desk signed a post."""

    code = "reply"
    status = 403
    message = N_("There is no reply for this code.")


class CodeError(ReplyError):
    """A text that is no receipt code; `wrong` holds the words and numbers that are in no list, as a person typed them.

    They are for that person's own page, and never for a log.
    """

    code = "code"
    status = 422

    def __init__(self, code: str | None = None, wrong: Sequence[Any] = ()) -> None:
        super().__init__(code)
        self.wrong = wrong


class ReplyKnownError(ReplyError):
    """A reply with this reply_id was stored before, whether or not the reply still exists."""

    code = "reply-known"
    status = 409


class BusyError(HaumaruError):
    """Too many requests at once; nothing was read or stored."""

    code = "busy"
    status = 503
    message = N_("Too many people are using this site at the moment. Please try again in a few minutes.")


class RateError(HaumaruError):
    """An address, or all addresses together, reached a rate limit for the next `seconds`."""

    code = "rate"
    status = 429

    def __init__(self, *, seconds: int) -> None:
        self.seconds = seconds
        super().__init__()

    @property
    def minutes(self) -> int:
        """After how many whole minutes to try again: at least two, because the sentences have the plural."""
        return max(2, -(-self.seconds // 60))


class DeskError(HaumaruError):
    """An action that the desk refuses, with the reason."""

    code = "desk"
    status = 400
