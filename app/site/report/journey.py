"""The two journeys of the site, a report and an answer, which go through the same steps from typing to sending.

A journey holds the address to which its pages post, the name of the step that shows the look before sending, and its
own sentences. A page, or an error, that both journeys show is written for a report; an answer has another sentence
where the word would be wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.core.errors import (
    N_,
    AlreadySentError,
    HeldDestroyedError,
    HeldFullError,
    HeldGoneError,
    HeldLimitError,
    OutboxError,
)
from app.files.protocol import REFUSALS
from app.site.guide.page_frame import Constant

TOO_LARGE = N_("Your report is too big, so nothing was sent. Send fewer or smaller files, or less text.")


@dataclass(frozen=True)
class Journey(Constant):
    """Where the pages of a journey post to, the step that shows the look before sending, and the journey's sentences.

    A tab shows `name`, and which of the `pages` this is: the last is for files, and the look stands before it.
    `sentences` has, for a sentence about a report, the sentence in its place. All three are keys of translation.
    """

    endpoint: str
    look: str
    name: str
    pages: int
    sentences: Mapping[str, str] = field(default_factory=dict, compare=False)

    def say(self, sentence: str) -> str:
        """Return the sentence of this journey, a key of translation, for a sentence about a report."""
        return self.sentences.get(sentence, sentence)


REPORT = Journey("report.form", "check", N_("Report"), 3)
ANSWER = Journey(
    "report.reply",
    "answer",
    N_("Reply"),
    4,
    {
        AlreadySentError.message: N_("This answer has already been sent. Your answer was not sent again."),
        HeldDestroyedError.message: N_("Your answer and its files have been deleted from this site."),
        HeldFullError.message: N_("We cannot accept files at the moment. Please send your answer without files."),
        HeldGoneError.message: N_(
            "Nothing was sent just now. Your files are no longer here. "
            "Your answer was sent before, or its time ran out and we deleted your files."
        ),
        HeldLimitError.message: N_("We cannot keep this answer any longer. Send or delete your answer now."),
        OutboxError.message: N_("We could not keep your answer safe, so your answer was not sent."),
        REFUSALS["no-sandbox"]: N_(
            "We cannot clean files safely at the moment. Please send your answer without files."
        ),
        TOO_LARGE: N_("Your answer is too big, so nothing was sent. Send fewer or smaller files, or less text."),
        N_(
            "Check what we took out of each file, then send your report. If you do nothing for 30 minutes, we will "
            "delete your report and files. Nothing will be sent."
        ): N_(
            "Check what we took out of each file, then send your answer. If you do nothing for 30 minutes, we will "
            "delete your answer and files. Nothing will be sent."
        ),
        N_("Check your report before you send it"): N_("Check your answer before you send it"),
        N_("Delete my report. Do not send it"): N_("Delete my answer. Do not send it"),
        N_(
            "Do not send sexual pictures of anyone under 18. Write in your report where the pictures are. "
            "If the child is in danger now, call 111."
        ): N_(
            "Do not send sexual pictures of anyone under 18. Write in your answer where the pictures are. "
            "If the child is in danger now, call 111."
        ),
        N_("Go back and change my report"): N_("Go back and change my answer"),
        N_("The words of your report arrive first. The files may take up to %(hours)s hours to arrive."): N_(
            "The words of your answer arrive first. The files may take up to %(hours)s hours to arrive."
        ),
        N_("We deleted your report. Nothing was sent."): N_("We deleted your answer. Nothing was sent."),
        N_(
            "We take the place and time out of photos. If the place and time matter, write them in your report. "
            "Keep the original photo only if it is safe to do so. Do not go back to take more photos."
        ): N_(
            "We take the place and time out of photos. If the place and time matter, write them in your answer. "
            "Keep the original photo only if it is safe to do so. Do not go back to take more photos."
        ),
        N_("Your report is so long that this page has no room to show what is in this file."): N_(
            "Your answer is so long that this page has no room to show what is in this file."
        ),
        N_("Your report was sent once. Your report was not sent again."): N_(
            "Your answer was sent once. Your answer was not sent again."
        ),
    },
)
