"""Makes `app/desk/names.toml`, the list of names that the desk suggests, from public lists that are not kept here.

`python deploy/names.py CENSUS SSA FAKER JIEBA WORDS` reads a CSV of family names (US Census, 2010), a folder of given
names (US Social Security, yob1880.txt and later), a folder of Faker's package, jieba's dict.txt and a list of English
words (SCOWL). A name that is also an ordinary word, in English or in our own catalogues and pages, is left out:
without its capital letter nobody could decide between the two. `docs/licences.md` names the licences.
"""

import csv
import re
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from babel import Locale

from app.text.words import WORD_PATTERN, fold_word, without_accents

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "app" / "desk" / "names.toml"

LEAST_FAMILY = 2_000
"""The fewest people in the United States with a family name that is taken."""
LEAST_ASIAN_PACIFIC = 100
"""The same, where at least half of these people are Asian or Pacific."""
HALF = 50.0  # percent
LEAST_GIVEN = 500
"""The fewest births under a given name, since 1880."""
LEAST_LETTERS = 3
FAKER = ("en_NZ", "en_IN", "en_PK", "id_ID", "vi_VN", "hi_IN", "ne_NP", "mr_IN", "zh_CN")
FAMILIES = 200
"""How many of the commonest Chinese family names are taken."""
LEAST_IN_NAMES = 15
"""In how many names of jieba a character must stand to count as one of given names."""
LEAST_MET = {2: 10, 3: 50, 4: 50}
"""How often jieba must have met an ordinary word of two, three or four characters that has a family name in it."""
EVERYDAY = frozenset(
    """
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august september
    october november december lunes martes sabado linggo ahad isnin selasa rabu khamis jumaat sabtu
    daw pong mundo puno labis asa bato handa sayo langit ilog uli kaniya maya militar bayani eto partido isla mapa
    timbang yaman templo ewan biro kani dula baha malinis kase sur bala tapang baril ganda bukas tela naga dagdagan
    dah macam kan dunia gila kini bagus zaman lah arah emas kalah tarik mari kota aman kiri kanan sabar mandi mulia
    setia wah suci jiwa makin okey sial karena kala barangan kimia roh korban daun karya paras saiz bagai sarang segi
    timbul lega kru mahir betina lucah makam lumba layan jamin garang laci datar bandara kantor bangun
    tera kari wahi kya karna karo bolte jaan kar hai nahi acha raha rahe mera meri
    """.split()
)
"""Words of everyday Tagalog, Malay and romanised Hindi, and days, that our own texts do not have in small letters."""
NEIGHBOURS = """
    Sereima Waqa Litia Vilimaina Asenaca Losalini Merewalesi Mereseini Unaisi Salote Akanisi Adi Seruwaia Vasiti Titilia
    Makereta Ateca Kinisimere Laisani Luisa Torika Alisi Ilisapeci Josefa Sitiveni Epeli Apenisa Waisale Ratu Jone Semi
    Inoke Isikeli Ilaitia Kitione Manasa Maciu Peceli Sakiusa Savenaca Setareki Taniela Tevita Tomasi Viliame Voreqe
    Waqanivalu Naivalu Bainimarama Rabuka Ravouvou Tuivaga Vakatawa Nabalarua Cakau Tuilagi Ratumaitavuki Koroi Radradra
    Fetu Fa'afetai Faleolo Tavita Ioane Iosefo Mataio Petelo Pouvi Leota Tuilaepa Lealaiauloto Malietoa Leiataua Fonoti
    Lagi Sina Losa Moana Talia Tala Sefo Siaosi Tausala Faamausili Folau Fifita Taufa Taione Tupou Vainikolo Moala
    Sateki Paula Siosaia Siosiua Semisi Sosefo Salesi Maka Lupe Seini Ofa Ana Alapasa Kalolaine Meleane Losaline
    Rangi Mereana Wiremu Ngaire Aroha Hinemoa Tane Tama Matiu Hohepa Rawiri Tamati Hoani Pita Mihi Marama Whetu
    Somchai Somsak Siriporn Nattaya Supaporn Malee Anong Prasert Wichai Kanya Pornthip Noi Lek
    Xiaoming Xiaohong Xiaoli Xiaoyan Meiling Meihua Jianguo Guoqiang Zhiqiang Weidong Yuhan Zihan Haoran Yutong
""".split()
"""Common names of Fiji, Samoa, Tonga, Aotearoa, Thailand and of China in pinyin, which the other lists lack; a single
name is a fact that nobody owns."""
PLACES = """
    Aotearoa Zealand Auckland Wellington Christchurch Hamilton Tauranga Dunedin Napier Hastings Rotorua Whangarei Nelson
    Queenstown Invercargill Palmerston Plymouth Gisborne Blenheim Marlborough Kerikeri Taupo Timaru Ashburton Cromwell
    Pukekohe Papakura Manukau Henderson Motueka Katikati Hawke Bay Plenty Otago Canterbury Waikato Northland Southland
    Street Road Lane Avenue Drive Place Terrace Crescent Park Beach Hill Island Islands North South East West Mount Lake
    Asia Africa Europe Pacific America Police Immigration Labour Inspectorate Government Customs Embassy Airport
    Hospital School Church Facebook WhatsApp WeChat Instagram Messenger TikTok Google Gmail Telegram Viber Toyota Nissan
    Mazda Ford Honda Mitsubishi Hilux Hiace Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February
    March
    April May June July August September October November December Christmas Easter God Māori Pākehā Samoan Tongan
    Fijian Indian Chinese Vietnamese Filipino Filipina Thai Malaysian Indonesian Korean Japanese Nepali Bangladeshi
    Pakistani Brazilian Russian Ukrainian Kiwi Australian British Uber Airbnb Countdown Woolworths Warehouse Mitre
    Mane Tūrei Wenerei Tāite Paraire Rāhoroi Rātapu Rāapa Hune Akuhata Hepetema Oketopa Noema Tihema Kirihimete
    Aso Gafua Lua Lulu Tofi Faraile To'ona'i Sa Ianuari Fepuari Mati Aperila Me Iuni Iulai Aokuso Setema Oketopa
    Novema Tesema Kerisimasi Initonesia Initia Fiti Falaite Tokonaki Tusite Mōnite Pulelulu Tu'apulelulu Sāpate Sanuali
    Fepueli Ma'asi 'Epeleli Mē Sune Siulai 'Aokosi Sepitema 'Okatopa Nōvema Tīsema Nuku'alofa Moniti Tusiti Vukelulu
    Lotulevu Vakaraubuka Vakarauwai Sigatabu Siga Janueri Feperueri Maji Epereli Jiune Jiulai Okosita Seviteba
    Okotova Noveba Tiseba Ahad Isnin Selasa Rabu Khamis Jumaat Sabtu Ogos Disember Imigresen Lunes Martes Miyerkules
    Huwebes Biyernes Sabado Linggo Enero Pebrero Marso Abril Mayo Hunyo Hulyo Agosto Setyembre Oktubre Nobyembre
    Disyembre Pasko Mondays Tuesdays Wednesdays Thursdays Fridays Saturdays Sundays Manila Dubai Suva Apia Hanoi Delhi
    Mumbai Punjab Kerala Bangkok Jakarta Encik Kak Puan Mang Aling Kuya Ate Aunty Uncle Mummy Mum Dad
    Trade Me I'm I've I'll I'd Mr Mrs Ms Miss Sir Madam
""".split()
"""Words with a capital letter that name no person, beside the countries and languages that Babel knows."""
VIETNAMESE = frozenset("nguyen tran pham huynh thuy huong hoang".split())
"""Vietnamese names that count in small letters too, although they are other words with accents."""
DOUBLE_FAMILIES = "欧阳 上官 司马 诸葛 司徒 皇甫 令狐 慕容 夏侯 尉迟 公孙".split()
CALLED = "小老阿"
"""Characters before a family name by which people are called; with the commonest families they are no words."""
COMMONEST = 80
HAN_ORDINARY = ("谢谢", "多谢", "感谢", "高兴", "关在", "管钱", "钱都", "白干", "眼镜")
HEADER = """\
# The names that the desk suggests beside what the form finds. Made by deploy/names.py; do not edit by hand.
# Sources: US Census 2010 and US Social Security (public domain), Faker and jieba (MIT); docs/licences.md.
"""


def main(census: str, ssa: str, faker: str, jieba: str, words: str) -> None:
    """Read the sources and write the list."""
    sys.path.insert(0, faker)
    ordinary = set(_ordinary_words(Path(words)))
    plain = {without_accents(word) for word in ordinary} - ordinary - VIETNAMESE
    read = (*_family_names(Path(census)), *_given_names(Path(ssa)), *_faker_names(), *NEIGHBOURS)
    names = {fold_word(name) for name in read if len(name) >= LEAST_LETTERS and WORD_PATTERN.fullmatch(name)} - ordinary
    families = list(dict.fromkeys(import_module("faker.providers.person.zh_CN").Provider.last_names))[:FAMILIES]
    families += DOUBLE_FAMILIES
    given, han_words = _chinese(Path(jieba), {name for name in families if len(name) == 1}, families[:COMMONEST])
    lists = {
        "names": sorted(names - plain),
        "plain": sorted(names & plain),
        "places": sorted(_places()),
        "families": families,
        "given": given,
        "words": han_words,
    }
    parts = [f'{key} = """\n{_filled(values)}\n"""\n' for key, values in lists.items()]
    OUT.write_text("\n".join([HEADER, *parts]), encoding="utf-8")
    sys.stdout.write("".join(f"{key}: {len(values)}\n" for key, values in lists.items()))


def _filled(values: list[str]) -> str:
    return textwrap.fill(" ".join(values), 118, break_long_words=False, break_on_hyphens=False)


def _places() -> set[str]:
    """Return each word of the names of countries and languages, in our languages, and of `PLACES`."""
    known: list[str] = list(PLACES)
    for code in ("en", "ms", "vi", "fil", "to", "mi"):
        known += [*Locale(code).territories.values(), *Locale(code).languages.values()]
    return {fold_word(word) for name in known for word in WORD_PATTERN.findall(name) if word[0].isupper()}


def _family_names(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            share = row["pctapi"].strip()
            is_asian_pacific = share.replace(".", "").isdigit() and float(share) >= HALF
            if int(float(row["count"])) >= (LEAST_ASIAN_PACIFIC if is_asian_pacific else LEAST_FAMILY):
                yield row["name"]


def _given_names(folder: Path) -> Iterator[str]:
    births: Counter[str] = Counter()
    for path in folder.glob("yob*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, number = line.split(",")
            births[name] += int(number)
    return (name for name, number in births.items() if number >= LEAST_GIVEN)


def _faker_names() -> Iterator[str]:
    for code in FAKER:
        provider = import_module(f"faker.providers.person.{code}").Provider
        for key in dir(provider):
            if key.startswith(("first_", "last_", "middle_")) and isinstance(getattr(provider, key), (tuple, dict)):
                yield from (part for name in getattr(provider, key) for part in name.split())


def _ordinary_words(words: Path) -> Iterator[str]:
    """Yield the words in small letters of the word list, our pages, our catalogues and the finder's lists."""
    yield from (
        word for word in words.read_text(encoding="utf-8").split() if word.islower() and word not in {"maria", "santos"}
    )
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "content").glob("*/*.md")]
    for path in (ROOT / "translations").rglob("*.po"):
        texts += re.findall(r'^(?:msgstr )?"(.*)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
    for path in (ROOT / "content").glob("*/identity.toml"):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        texts += [text for key, value in table.items() if key != "given" for text in _strings(value)]
    found = {fold_word(word) for text in texts for word in WORD_PATTERN.findall(text) if not word[0].isupper()}
    yield from EVERYDAY
    yield from found


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _chinese(path: Path, families: set[str], commonest: list[str]) -> tuple[list[str], list[str]]:
    """Return the characters of given names, and the ordinary words that have a character of a family name in them."""
    in_names: Counter[str] = Counter()
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        word, number, tag = line.split()
        if tag.startswith("nr"):
            if len(word) == 3 and word[0] in families:  # noqa: PLR2004
                in_names.update(word[1:])
        elif len(word) in LEAST_MET and int(number) >= LEAST_MET[len(word)] and not families.isdisjoint(word):
            words.append(word)
    names = {called + family for called in CALLED for family in commonest}
    given = [one for one, number in in_names.most_common() if number >= LEAST_IN_NAMES]
    return given, sorted({*words, *HAN_ORDINARY} - names)


if __name__ == "__main__":
    main(*sys.argv[1:])
