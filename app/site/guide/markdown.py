"""Renders the Markdown of translators to sanitised HTML for a page, and to runs of words for a handout.

HTML in the source stays text, and bleach sanitises the output as well, because the files of translators are only
half-trusted. Links such as `page:help`, `contact:police-105`, `contact:crime-stoppers#web` and `safety:emergency`
are resolved within the language. A link without a target is reported as a fault.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import bleach
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markupsafe import Markup
from mdit_py_plugins.attrs import attrs_block_plugin, attrs_plugin

from app.site.guide.models import Contact, Heading, Run, page_path

_TAGS = frozenset(
    {"p", "h2", "h3", "ul", "ol", "li", "a", "strong", "em", "code", "span", "br", "hr", "blockquote"}
) | {
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}
_ATTRIBUTES = {"*": ["id"], "a": ["href", "translate"], "span": ["lang", "translate"], "ol": ["start"]}
_UNTRANSLATED = {"translate": "no"}  # a browser's own translation leaves the element as it is
_PROTOCOLS = frozenset({"https", "http", "tel", "mailto"})
# Text that is no markup and has no entity and no control character.
_PLAIN = re.compile(r"[^<>&\x00-\x1f]*")
# Pages that links may name although they have no file in `content/`.
_WITHOUT_CONTENT = frozenset({"report", "reply", "sheets"})


@dataclass
class Links:
    """Resolves the links of one language's files; `fault` receives what is wrong, `met` collects every link."""

    lang: str
    slugs: frozenset[str]
    contacts: Mapping[str, Contact]
    safety: Mapping[str, str]
    fault: Callable[[str], None]
    met: list[str] = field(default_factory=list)

    def resolve(self, href: str) -> tuple[str, str]:
        """Return the address of a link, and the words for a link without any; two empty texts after a fault."""
        self.met.append(href)
        scheme, _, rest = href.partition(":")
        if scheme == "page":
            return self._page(rest), ""
        if scheme == "contact":
            return self._contact(rest)
        if scheme in _PROTOCOLS:
            return href, href
        self.fault(f"the link {href} leads nowhere; write page:, contact:, safety: or https:")
        return "", ""

    def sentence(self, href: str) -> str:
        """Return the safety sentence that `safety:<key>` names, or an empty text after a fault."""
        self.met.append(href)
        key = href.removeprefix("safety:")
        if key not in self.safety:
            self.fault(f"the link {href} leads nowhere; safety.toml has no such sentence")
        return self.safety.get(key, "")

    def _page(self, rest: str) -> str:
        slug, mark, anchor = rest.partition("#")
        if slug not in self.slugs | _WITHOUT_CONTENT:
            self.fault(f"the link page:{slug} leads nowhere; the pages are {' '.join(sorted(self.slugs))}")
        return f"{page_path(self.lang, slug)}{mark}{anchor}"

    def _contact(self, rest: str) -> tuple[str, str]:
        identifier, _, part = rest.partition("#")
        contact = self.contacts.get(identifier)
        if contact is None:
            self.fault(f"the link contact:{identifier} leads nowhere; content/contacts.toml has no such id")
            return "", ""
        href, words = (contact.url, contact.host) if part == "web" else (contact.href, contact.number)
        if not href:
            self.fault(f"the link contact:{rest} leads nowhere; the contact has no {part or 'number'}")
        return href, words


def _create_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.use(attrs_plugin, spans=True, allowed=("lang",)).use(attrs_block_plugin, allowed=("id",))
    parser.core.ruler.push("other_languages", _keep_other_languages)
    return parser


def _keep_other_languages(state: StateCore) -> None:
    """Mark words that stand in another language on purpose."""
    for token in (child for block in state.tokens for child in block.children or ()):
        if token.type == "span_open":
            token.attrs |= _UNTRANSLATED


_MARKDOWN = _create_parser()
_EMERGENCY = "[](safety:emergency)"


def render_page(text: str, links: Links) -> tuple[Markup, tuple[Heading, ...]]:
    """Return a page's body as sanitised HTML, and its second-level headings, each with an id.

    The emergency sentence is left out where a body begins with it: the header of every page shows it already.
    """
    tokens = _MARKDOWN.parse(text.strip().removeprefix(_EMERGENCY))
    headings: list[Heading] = []
    for place, token in enumerate(tokens):
        if token.type == "inline":
            token.children = list(_resolve_links(token.children or (), links))
        if token.type == "heading_open":
            number = len(headings) + 1
            if token.tag == "h2":
                token.attrs.setdefault("id", f"s{number}")
                words = _MARKDOWN.renderer.render(tokens[place + 1].children or (), _MARKDOWN.options, {})
                headings.append(Heading(str(token.attrs["id"]), bleach.clean(words, tags=set(), strip=True)))
            elif token.tag != "h3":
                links.fault(f"a heading is {token.markup}; write ## or ###")
    return _sanitise(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})), tuple(headings)


def render_line(text: str, links: Links) -> Markup:
    """Return one line or sentence as sanitised HTML without a paragraph around it."""
    return _sanitise(_MARKDOWN.renderer.render(_inline_tokens(text, links), _MARKDOWN.options, {}))


def render_runs(text: str, links: Links) -> tuple[Run, ...]:
    """Return one line or sentence as runs of words, for a handout."""
    found: list[Run] = []
    strong, lang, href = 0, "", ""
    for token in _inline_tokens(text, links):
        strong += token.nesting if token.tag == "strong" else 0
        if token.tag == "span":
            lang = str(token.attrs.get("lang", "")) if token.nesting == 1 else ""
        if token.tag == "a":
            href = str(token.attrs.get("href", "")) if token.nesting == 1 else ""
        words = " " if token.type == "softbreak" else token.content
        if words:
            found.append(Run(words, strong=bool(strong), lang=lang, href=href))
    return tuple(found)


def _inline_tokens(text: str, links: Links) -> list[Token]:
    parsed = _MARKDOWN.parseInline(text.strip())
    return list(_resolve_links(parsed[0].children or (), links)) if parsed else []


def _resolve_links(children: Sequence[Token], links: Links) -> Iterator[Token]:
    """Yield the tokens of a line with every link resolved, and each safety link replaced by its sentence."""
    skip_close = False
    for place, token in enumerate(children):
        href = str(token.attrs.get("href", "")) if token.type == "link_open" else ""
        if href.startswith("safety:"):
            yield from _inline_tokens(links.sentence(href), links)
            skip_close = True
        elif href:
            token.attrs["href"], words = links.resolve(href)
            is_bare = children[place + 1].type == "link_close"  # becomes a number, or an address
            is_name = href.partition(":")[0] in _PROTOCOLS  # of a page or a body elsewhere
            token.attrs |= _UNTRANSLATED if words and (is_bare or is_name) else {}
            yield token
            if is_bare:
                yield Token("text", "", 0, content=words)
        elif token.type == "link_close" and skip_close:
            skip_close = False
        else:
            if "](" in token.content and token.type == "text":
                links.fault(f"{token.content} is not a link; write page:, contact:, safety: or https:")
            yield token


def _sanitise(html: str) -> Markup:
    if _PLAIN.fullmatch(html):  # as most lines are, and bleach would return the same words
        return Markup(html)  # noqa: S704
    return Markup(bleach.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, protocols=_PROTOCOLS))  # noqa: S704
