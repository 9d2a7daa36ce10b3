"""The folder of `content/` and `translations/`: the package itself in a wheel, its parent in a checkout.

Both programs need this path, so this short module is in neither program.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
ROOT = _PACKAGE if (_PACKAGE / "content").is_dir() else _PACKAGE.parent
