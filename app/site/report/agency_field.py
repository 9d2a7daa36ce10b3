"""The choice of the agency that gets a report: its sender can leave out the agency that the report is about.

The choice travels in the form and nowhere else. Every value of the field has one length, so that the length of a
request does not show the choice, and the field is there whatever was chosen. Where the choice was in a part of a body
that was not kept, it is asked again: nothing goes to an agency that its sender may have left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wtforms import Field
from wtforms.validators import ValidationError

from app.site.agencies import AgencyConfig, choose_agency

_FILL = "."  # which no id of an agency holds, and which a form sends as one byte
_MOST_VALUES = 64
# The field of a page on which the choice must be made again.
LOST = "without-lost"


@dataclass(frozen=True)
class AgencyChoice:
    """One answer: the agency to leave out, None for none of them, and the agency that gets the report then."""

    value: str
    left_out: AgencyConfig | None
    gets: AgencyConfig
    selected: bool


class AgencyField(Field):
    """The ids of the agencies that a sender leaves out; ids that no agency has leave nobody out."""

    offered: Sequence[AgencyConfig] = ()
    is_lost = False

    def offer(self, agencies: Sequence[AgencyConfig], *, is_lost: bool = False) -> None:
        """Offer these agencies, of which the first gets the report unless it is left out; `is_lost` asks again."""
        self.offered, self.is_lost = agencies, is_lost and len(agencies) > 1

    def process_formdata(self, valuelist: Any) -> None:
        """Take every value that came, so that no agency that a sender leaves out is overlooked."""
        self.data = tuple(value.rstrip(_FILL) for value in valuelist[:_MOST_VALUES])

    def pre_validate(self, form: Any) -> None:  # noqa: ARG002
        """Ask again where no agency is known to get the report."""
        if self.offered and self.agency is None:
            raise ValidationError(self.label.text)

    @property
    def agency(self) -> AgencyConfig | None:
        """The agency that gets the report; None where every agency is left out, or where the choice was lost."""
        return None if self.is_lost else choose_agency(self.offered, self.data or ())

    @property
    def options(self) -> list[AgencyChoice]:
        """The answers to choose from, none where there is one agency."""
        if len(self.offered) == 1:
            return []
        found = []
        for left_out in (None, *self.offered):
            gets = choose_agency(self.offered, [left_out.id] if left_out else ())
            selected = left_out.id in (self.data or ()) if left_out else not (self._left_out or self.is_lost)
            if gets is not None:
                found.append(AgencyChoice(self._value(left_out), left_out, gets, selected))
        return found

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The names and values with which a later page carries the choice."""
        if len(self.offered) == 1:
            return []
        if self.is_lost:
            return [(LOST, "yes")]
        return [(self.name, self._value(agency)) for agency in self._left_out or (None,)]

    @property
    def _left_out(self) -> list[AgencyConfig]:
        return [agency for agency in self.offered if agency.id in (self.data or ())]

    def _value(self, agency: AgencyConfig | None) -> str:
        return (agency.id if agency else "").ljust(max(len(each.id) for each in self.offered), _FILL)
