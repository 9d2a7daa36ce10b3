"""The one stylesheet, as short as it can travel, and the digest by which the policy admits it."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

_FILE = Path(__file__).parent.parent / "templates" / "style.css"


def read() -> str:
    """The stylesheet without comments and needless spaces, its tokens' names one letter long."""
    text = re.sub(r"/\*.*?\*/", "", _FILE.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" ?([{};,]) ?|(?<=:) ", r"\1", text).replace(";}", "}").strip()
    names = sorted(set(re.findall(r"--[a-z-]+", text)))
    return re.sub(r"--[a-z-]+", lambda match: f"--{chr(ord('a') + names.index(match[0]))}", text)


def digest(style: str) -> str:
    """Its SHA-256 in base64, as `style-src 'sha256-…'` wants it (CSP level 3, 2.3.1)."""
    return b64encode(sha256(style.encode()).digest()).decode()
