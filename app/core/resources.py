"""The folder of `content/` and `translations/`: the package itself in a wheel, its parent in a checkout.

This short module is shared by both programs, and so belongs to neither.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
ROOT = _PACKAGE if (_PACKAGE / "content").is_dir() else _PACKAGE.parent
