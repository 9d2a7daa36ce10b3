"""Where `content/` and `translations/` lie: within the package in a wheel, beside it in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
ROOT = _PACKAGE if (_PACKAGE / "content").is_dir() else _PACKAGE.parent
