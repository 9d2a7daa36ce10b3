"""One tree of errors, so that a door can answer for all of them alike.

    HaumaruError
    ├── ConfigError            a file that must not be served from; holds every fault
    ├── KeyTextError           a recipient, identity or key file that is not one
    ├── EnvelopeError          not an envelope, damaged, or for somebody else
    ├── BundleError            an opened envelope holds something that is not a tip
    ├── SignatureError         a signature that the expected key did not make
    ├── OutboxError            cannot be kept, so: not sent
    │   ├── AlreadySentError   this very form was sent before
    │   ├── HeldGoneError      a held tip that has ended, or never was
    │   └── HeldFullError      no room to hold another tip with files
    ├── DeliveryError          the agency did not take an envelope; tried again later
    ├── FileRefusedError       one attached file cannot be made safe
    ├── ReplyError             a reply, receipt code or reply post that is not good
    │   └── ReplyKnownError    a reply post that was taken before
    ├── BusyError              come back later
    ├── RateError              too often from one place; says in how many seconds to try again
    └── DeskError              something the desk refuses

Each error carries a `code`, safe to log because it never holds anything a visitor sent, an HTTP
status, and a `message`: an English sentence that a person can act on, and the key to its translation.
"""

from typing import ClassVar


def N_(message: str) -> str:  # noqa: N802
    """Mark a sentence for the translators' catalogues without translating it here."""
    return message


class HaumaruError(Exception):
    """The root; `code` may be narrowed for one raise, to say which of several causes it was."""

    code: str = "error"
    status: ClassVar[int] = 500
    message: str = N_("Something went wrong on our side. Nothing was sent.")

    def __init__(self, code: str | None = None) -> None:
        if code is not None:
            self.code = code
        super().__init__(self.code)


class ConfigError(HaumaruError):
    """A configuration with faults, all of them told at once, each with its remedy."""

    code = "config"

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__()

    def __str__(self) -> str:
        return "\n".join(self.faults)


class KeyTextError(HaumaruError):
    """Text that should be a recipient or an identity and is not, or a key file that does not open."""

    code = "key"
    status = 400


class EnvelopeError(HaumaruError):
    """The one error of sealing and unsealing; its code names the cause for a log or a test vector."""

    code = "envelope"
    status = 400


class BundleError(HaumaruError):
    """The bytes inside an envelope are not a bundle that this program made."""

    code = "bundle"
    status = 400


class SignatureError(HaumaruError):
    """A signature of another key or over other bytes, or (`signature-form`) a text that is no signature."""

    code = "signature"
    status = 403


class OutboxError(HaumaruError):
    """An envelope could not be made durable."""

    code = "outbox"
    status = 503
    message = N_("We could not keep your report safe just now, so it was not sent.")


class AlreadySentError(OutboxError):
    """The nonce of this form has been used."""

    code = "already-sent"
    status = 409
    message = N_("This report was already sent. It was not sent again.")


class HeldGoneError(OutboxError):
    """The held tip was sent, destroyed, or came to the end of its time."""

    code = "held-gone"
    status = 410
    message = N_(
        "Nothing was sent just now. Your report no longer waits here: "
        "it was sent before, or its time was over and it was destroyed."
    )


class HeldFullError(OutboxError):
    """Held tips have reached their limit."""

    code = "held-full"
    message = N_("We cannot take files just now. Send your report without files.")


class DeliveryError(HaumaruError):
    """An agency's end refused, failed or was not there; `code` is what `haumaru status` shows.

    `permanent` says that this very envelope was refused and others may still pass.
    """

    code = "delivery"

    def __init__(self, code: str, *, permanent: bool = False) -> None:
        self.permanent = permanent
        super().__init__(code)


class FileRefusedError(HaumaruError):
    """One file cannot be made safe; the others and the text are kept."""

    code = "file"
    status = 422
    message = N_("This file could not be made safe, so it was not taken.")


class ReplyError(HaumaruError):
    """No such reply as far as anybody may know, or a post that no desk signed."""

    code = "reply"
    status = 403
    message = N_("There is no reply for this code.")


class ReplyKnownError(ReplyError):
    """A reply with this reply_id was stored before, whether or not it is still there."""

    code = "reply-known"
    status = 409


class BusyError(HaumaruError):
    """Too many at once; nothing was read and nothing was kept."""

    code = "busy"
    status = 503
    message = N_("Too many people are using the site just now. Please try again in a few minutes.")


class RateError(HaumaruError):
    """An address, or everybody together, has reached a limit; `seconds` until it is lifted."""

    code = "rate"
    status = 429

    def __init__(self, *, seconds: int) -> None:
        self.seconds = seconds
        super().__init__()


class DeskError(HaumaruError):
    """Something the desk refuses to do, and why."""

    code = "desk"
    status = 400
