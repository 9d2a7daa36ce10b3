"""The questions that a desk can ask by their ids, and the answers that a sender can tick.

A reply of the desk carries the id alone, and the site shows the words in the language of the reader: so desk and sender
need no translator. Each question can be answered by one tick, or with a few words, by a neighbour or by a victim. No
question asks who the sender is, asks the sender to go anywhere, or asks for a link. The words are keys of translation.
An id never changes its meaning. Where an id is not known, the site shows nothing, and the desk shows the id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.core.errors import N_
from app.vault.tip import SCHEMA, Choice


@dataclass(frozen=True)
class AskedQuestion:
    """One question: its id (of the form of a field's name), its topic at the desk, its words, the answers to tick.

    A question without choices is answered with words, up to `MAX_REPLY_LENGTH` characters; where it is
    `about_suspects`, the finder searches these words mildly. `warns` are the values of which the desk warns a handler
    who is about to pass the tip on.
    """

    id: str
    topic: str
    text: str
    choices: tuple[Choice, ...] = ()
    about_suspects: bool = False
    warns: frozenset[str] = frozenset()

    def label(self, value: str) -> str:
        """Return the words of an answer: those of the choice of this value, otherwise the value as it is."""
        return next((choice.label for choice in self.choices if choice.value == value), value)


_YES_NO = SCHEMA.field("danger").choices
_UNSURE = _YES_NO[-1]
_YES, _NOT_SURE = frozenset({"yes"}), frozenset({_UNSURE.value})
_COUNTS = (
    Choice("one", N_("One")),
    Choice("few", N_("2 to 5")),
    Choice("many", N_("6 to 20")),
    Choice("more", N_("More than 20")),
    _UNSURE,
)
_LAST = (
    Choice("today", N_("Today")),
    Choice("week", N_("This week")),
    Choice("month", N_("This month")),
    Choice("earlier", N_("Longer ago")),
    _UNSURE,
)
_HOW_LONG = (
    Choice("days", N_("For some days")),
    Choice("weeks", N_("For some weeks")),
    Choice("months", N_("For some months")),
    Choice("years", N_("For a year or longer")),
    _UNSURE,
)
_HOW_OFTEN = (
    Choice("daily", N_("Every day")),
    Choice("weekly", N_("Every week")),
    Choice("sometimes", N_("Sometimes")),
    Choice("once", N_("Only once")),
    _UNSURE,
)
_DAY_PARTS = (
    Choice("morning", N_("In the morning")),
    Choice("afternoon", N_("In the afternoon")),
    Choice("evening", N_("In the evening")),
    Choice("night", N_("At night")),
)
_COME_AND_GO = (*_DAY_PARTS, Choice("changing", N_("At different times")), _UNSURE)
_SAFE_TIMES = (*_DAY_PARTS, Choice("never", N_("No time is safe")), _UNSURE)
_WHO = (
    Choice("female", N_("Women or girls")),
    Choice("male", N_("Men or boys")),
    Choice("both", N_("Both")),
    _UNSURE,
)
_BEDS = (
    Choice("work", N_("Where they work")),
    Choice("home", N_("In a house or a flat")),
    Choice("vehicle", N_("In a vehicle or a tent")),
    Choice("elsewhere", N_("Somewhere else")),
    _UNSURE,
)
_PAPERS = (
    Choice("self", N_("The people themselves")),
    Choice("employer", N_("The employer")),
    Choice("other", N_("Somebody else")),
    _UNSURE,
)
_PAY = (
    Choice("full", N_("Yes, in full")),
    Choice("less", N_("Less than they were promised")),
    Choice("none", N_("No, they are not paid")),
    _UNSURE,
)
_HOURS = (
    Choice("short", N_("8 hours or fewer")),
    Choice("long", N_("9 to 12 hours")),
    Choice("longer", N_("More than 12 hours")),
    _UNSURE,
)

_NOW, _PEOPLE, _PLACE = "What is happening", "The people", "The place"
_WORK, _NEXT = "Work, money and papers", "Before anything is done"
_QUESTIONS = (
    AskedQuestion("still-going-on", _NOW, N_("Is it still going on?"), _YES_NO),
    AskedQuestion("last-time", _NOW, N_("When did it happen last?"), _LAST),
    AskedQuestion("how-long", _NOW, N_("For how long has it been going on?"), _HOW_LONG),
    AskedQuestion("how-often", _NOW, N_("How often does it happen?"), _HOW_OFTEN),
    AskedQuestion("hurt-or-ill", _NOW, N_("Is anyone hurt or ill?"), _YES_NO),
    AskedQuestion("hit-or-threatened", _NOW, N_("Has anyone been hit or threatened?"), _YES_NO),
    AskedQuestion("locked-in", _NOW, N_("Is anyone locked in?"), _YES_NO),
    AskedQuestion("free-to-leave", _NOW, N_("Can they leave when they want to?"), _YES_NO),
    AskedQuestion("watched", _NOW, N_("Does someone always watch them?"), _YES_NO),
    AskedQuestion("how-many", _PEOPLE, N_("How many people does it happen to?"), _COUNTS),
    AskedQuestion("under-eighteen", _PEOPLE, N_("Is anyone under 18 years old?"), _YES_NO),
    AskedQuestion("ages", _PEOPLE, N_("About how old are the people?")),
    AskedQuestion("women-or-men", _PEOPLE, N_("Are they women or men?"), _WHO),
    AskedQuestion("pregnant-or-baby", _PEOPLE, N_("Is anyone pregnant, or is there a baby?"), _YES_NO),
    AskedQuestion("languages", _PEOPLE, N_("What languages do the people speak?")),
    AskedQuestion("countries", _PEOPLE, N_("What countries do the people come from?")),
    AskedQuestion("food-and-water", _PEOPLE, N_("Do they have enough food and water?"), _YES_NO),
    AskedQuestion("phone-alone", _PEOPLE, N_("Can they use a phone when nobody listens?"), _YES_NO),
    AskedQuestion("want-help", _PEOPLE, N_("Do they want help?"), _YES_NO),
    AskedQuestion("who-controls", _PEOPLE, N_("How many people are in control?"), _COUNTS),
    AskedQuestion("sleeping-place", _PLACE, N_("Where do they sleep?"), _BEDS),
    AskedQuestion("one-room", _PLACE, N_("How many people sleep in one room?"), _COUNTS),
    AskedQuestion("place-from-outside", _PLACE, N_("What does the place look like from outside?")),
    AskedQuestion("dogs", _PLACE, N_("Are there dangerous dogs at the place?"), _YES_NO, warns=_YES),
    AskedQuestion("weapons", _PLACE, N_("Are there weapons at the place?"), _YES_NO, warns=_YES),
    AskedQuestion("guards", _PLACE, N_("Are there cameras or guards at the place?"), _YES_NO, warns=_YES),
    AskedQuestion(
        "vehicles",
        _PLACE,
        N_("What cars or vans are used? For example: the colour, or the number plate."),
        about_suspects=True,
    ),
    AskedQuestion("come-and-go", _PLACE, N_("When do people come and go?"), _COME_AND_GO),
    AskedQuestion("passports", _WORK, N_("Who has their passports?"), _PAPERS),
    AskedQuestion("visa-ends", _WORK, N_("Does a visa end soon?"), _YES_NO),
    AskedQuestion("paid", _WORK, N_("Are they paid for their work?"), _PAY),
    AskedQuestion("debt", _WORK, N_("Do they have to pay off a debt?"), _YES_NO),
    AskedQuestion("working-hours", _WORK, N_("How many hours do they work in a day?"), _HOURS),
    AskedQuestion("promised", _WORK, N_("Was something else promised to them before?"), _YES_NO),
    AskedQuestion(
        "safe-time",
        _NEXT,
        N_("Is there a safe time for officers to go there?"),
        _SAFE_TIMES,
        warns=frozenset({"never"}),
    ),
    AskedQuestion(
        "visit-danger",
        _NEXT,
        N_("Would it put anyone in danger if officers went there?"),
        _YES_NO,
        warns=_YES | _NOT_SURE,
    ),
    AskedQuestion("moved-soon", _NEXT, N_("Will they soon be moved to another place?"), _YES_NO, warns=_YES),
    AskedQuestion("officials-know", _NEXT, N_("Has anyone told the Police or another office already?"), _YES_NO),
    AskedQuestion("picture", _NEXT, N_("Could you send a picture without danger to you or to others?"), _YES_NO),
    AskedQuestion(
        "pass-on",
        _NEXT,
        N_("May we pass on what you wrote, word for word?"),
        _YES_NO,
        warns=frozenset({"no"}) | _NOT_SURE,
    ),
)
QUESTIONS: Mapping[str, AskedQuestion] = MappingProxyType({question.id: question for question in _QUESTIONS})
"""All questions by their ids, in the order in which a handler reads them."""


def question_text(untrusted_id: str) -> str:
    """Return the English words of a question, the id itself where it is not known."""
    question = QUESTIONS.get(untrusted_id)
    return question.text if question else untrusted_id


def replies_text(untrusted_replies: Mapping[str, str]) -> str:
    """Return what a sender said to several questions, each below its question, in English where it was ticked."""
    return "\n\n".join(f"{question_text(name)}\n{said_text(name, value)}" for name, value in untrusted_replies.items())


def said_text(untrusted_id: str, untrusted_value: str) -> str:
    """Return what a sender said to a question, in English where it was ticked, as it was written otherwise."""
    question = QUESTIONS.get(untrusted_id)
    return question.label(untrusted_value) if question else untrusted_value
