"""What a forge would make of Markdown: a renderer reads it, and rules tell what GitHub and GitLab link beyond it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

_READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_OUR_HTML = re.compile(r"</?details>|</?summary>|<!-- amsctl:(?:plan|report):(?!.*--.*-->)[\w.-]* -->")
_LINKED = {
    # GitHub Flavored Markdown, extended autolinks (6.9)
    "www": re.compile(r"(?<![^\s*_~(])www\.\S", re.IGNORECASE),
    "address": re.compile(r"\b(?:https?|ftp)://\S", re.IGNORECASE),
    "mail": re.compile(r"[\w.+-]+@[\w-]+\.[\w-]"),
    "protocol": re.compile(r"\b(?:mailto|xmpp):\S", re.IGNORECASE),
    # what GitHub links by itself: people and teams, issues, commits
    "mention": re.compile(r"(?<![\w`])@[A-Za-z0-9]"),
    "issue": re.compile(r"(?<!&)#\d|\bGH-\d", re.IGNORECASE),
    "commit": re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b"),
    # and GitLab: merge requests, epics, milestones, labels, snippets, alerts, wiki pages
    "reference": re.compile(r"(?<![\w!])!\d|(?<!\w)&\d|(?<!\w)%(?:\d|\")|(?<![\w~])~[\w\"]|(?<!\w)\$\d|\^alert#|\[\["),
    "footnote": re.compile(r"\[\^"),
    "emoji": re.compile(r"(?<![\w:]):[a-z_+-]+:(?!\w)"),
}


def tokens(text: str) -> Iterator[Token]:
    """Every token, inner ones too."""
    for token in _READER.parse(text):
        yield token
        yield from token.children or ()


def active(text: str) -> list[str]:
    """What would be more than text: links, images, mentions, references, and HTML that is not ours. Code is text, whatever stands in it."""
    found = []
    for token in tokens(text):
        if token.type in ("link_open", "image"):
            found.append(f"{token.type}: {token.attrs}")
        elif token.type in ("html_block", "html_inline"):
            rest = _OUR_HTML.sub("", token.content)
            found += [f"HTML: {rest}"] if re.search("<[A-Za-z!?/]", rest) else []
            found += _linked(rest)
        elif token.type == "text":
            found += _linked(token.content)
        elif token.type == "fence" and token.info:
            found.append(f"a block for a program: {token.info}")
    return found


def _linked(text: str) -> list[str]:
    return [f"{kind}: {match[0]} in {text!r}" for kind, rule in _LINKED.items() if (match := rule.search(text))]
