"""Ready texts from which a handler chooses what to write back, in every language of the site.

Each text is made of sentences that are keys of translation. No text promises what an agency may not keep, names an
authority, gives a number other than 111, has a link, asks who the sender is, or asks the sender to go anywhere. An id
never changes its meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.core.errors import N_


@dataclass(frozen=True)
class ReadyReply:
    """One ready text: its id, what a handler reads in the list, and its sentences in English."""

    id: str
    title: str
    sentences: tuple[str, ...]

    @property
    def english(self) -> str:
        """The text in English."""
        return " ".join(self.sentences)


_GET_HELP = N_("The page “Get help” of this site says who may be able to help, and how to call them.")
_REPLIES = (
    ReadyReply("thanks", "Thank you", (N_("Thank you for writing to us. A person has read your report."),)),
    ReadyReply(
        "more",
        "We need to know more",
        (N_("What you wrote helps, but we need to know more. What did you see or hear yourself?"),),
    ),
    ReadyReply(
        "place",
        "Where is it?",
        (
            N_(
                "Can you tell us more about the place? For example: a street, a sign, a colour, or what stands beside"
                " it."
            ),
        ),
    ),
    ReadyReply(
        "time",
        "When does it happen?",
        (N_("Can you tell us when this happens? For example: the days, the times, or when people come and go."),),
    ),
    ReadyReply(
        "careful",
        "Do not put yourself in danger",
        (
            N_(
                "Do not put yourself in danger to find out more. Do not go there to look, and do not ask questions"
                " there."
            ),
        ),
    ),
    ReadyReply(
        "danger",
        "If someone is in danger, call 111",
        (N_("If someone is in danger now, call 111. We do not read messages at once."),),
    ),
    ReadyReply(
        "phone",
        "If someone checks your phone",
        (
            N_(
                "If someone checks your phone, do not read or write here on that phone. Use another phone, and keep"
                " your code where nobody finds it."
            ),
        ),
    ),
    ReadyReply(
        "no-name", "Do not tell us who you are", (N_("Do not write your name or anything that shows who you are."),)
    ),
    ReadyReply("language", "You can write in your own language", (N_("You can write in your own language."),)),
    ReadyReply(
        "looking",
        "We are still looking at it",
        (N_("We are still looking at your report. Come back with your code in some days."),),
    ),
    ReadyReply(
        "passed-on",
        "We passed it on",
        (N_("We have passed your report on to people who can act. We do not know what they will do, or when."),),
    ),
    ReadyReply("help", "Who may be able to help", (_GET_HELP,)),
    ReadyReply("cannot", "We cannot help, and who may", (N_("We cannot act on what you wrote."), _GET_HELP)),
    ReadyReply(
        "later",
        "Write again if you see more",
        (N_("If you see or hear more, you can write more with the same code."),),
    ),
    ReadyReply(
        "finished",
        "Our work is finished",
        (N_("The agency has finished its work on your report. You can still write more with the same code."),),
    ),
)
READY_REPLIES: Mapping[str, ReadyReply] = MappingProxyType({reply.id: reply for reply in _REPLIES})
