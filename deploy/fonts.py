"""Makes the fonts of the handouts from the npm packages `@expo-google-fonts/noto-sans`, `-devanagari` and `-sc`.

    npm install @expo-google-fonts/noto-sans @expo-google-fonts/noto-sans-devanagari @expo-google-fonts/noto-sans-sc
    python deploy/fonts.py node_modules/@expo-google-fonts        (needs fonttools)

The subsets hold Latin with every mark that our languages use, the whole Devanagari block with its shaping, and the
3,755 most frequent Chinese characters (GB 2312, level 1), so that a translator seldom needs new subsets. Where a
character is missing, the program does not start and names the character.
"""

import sys
from pathlib import Path

from fontTools import subset  # type: ignore[import-not-found]

ROOT = Path(__file__).parent.parent
FONTS = ROOT / "app" / "site" / "guide" / "fonts"
LATIN = [range(0x20, 0x250), range(0x2B0, 0x370), range(0x1E00, 0x1F00), range(0x2000, 0x2070), range(0x20A0, 0x20C0)]
LATIN += [range(0x2100, 0x2300)]
DEVANAGARI = [range(0x20, 0x7F), range(0x900, 0x980), range(0x200C, 0x200E), range(0xA8E0, 0xA900)]


def chinese_characters() -> set[int]:
    """Return the punctuation and the first level of GB 2312, and what the translation uses beyond it."""
    files = [*(ROOT / "content" / "zh-Hans").glob("*.*"), *(ROOT / "translations" / "zh_Hans").rglob("*.po")]
    codes = {ord(character) for file in files for character in file.read_text(encoding="utf-8")}
    codes |= set(range(0x20, 0x7F))
    for first in (*range(0xA1, 0xA4), *range(0xB0, 0xD8)):
        for second in range(0xA1, 0xFF):
            try:
                codes.add(ord(bytes((first, second)).decode("gb2312")))
            except UnicodeDecodeError:
                continue
    return codes


def make_subset(source: Path, name: str, codes: set[int], layout: list[str]) -> None:
    """Write one subset without hints and without the names that its use does not need."""
    options = subset.Options(hinting=False, layout_features=layout, desubroutinize=True, notdef_outline=True)
    options.drop_tables += ["DSIG"]
    font = subset.load_font(str(source), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font["head"].modified = font["head"].created
    font.recalcTimestamp = False
    subset.save_font(font, str(FONTS / name), options)


def main(packages: Path) -> None:
    """Make all six subsets."""
    sets = {
        "noto-sans": ("NotoSans", {code for part in LATIN for code in part}),
        "noto-sans-devanagari": ("NotoSansDevanagari", {code for part in DEVANAGARI for code in part}),
        "noto-sans-sc": ("NotoSansSC", chinese_characters()),
    }
    for package, (name, codes) in sets.items():
        layout = ["ccmp", "locl", "kern", "mark"] if package == "noto-sans-sc" else ["*"]
        for weight in ("400Regular", "700Bold"):
            make_subset(packages / package / weight / f"{name}_{weight}.ttf", f"{name}-{weight[3:]}.ttf", codes, layout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
