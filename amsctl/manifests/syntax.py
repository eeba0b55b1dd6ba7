"""libyaml's complaints in words for a person."""

from __future__ import annotations

from typing import Final, NamedTuple


class Phrase(NamedTuple):
    """What is wrong and what to do; ``at_context`` when the opening place says more than the place where the parser gave up."""

    what: str
    hint: str | None = None
    at_context: bool = False


_INDENT: Final = "check the indentation: keys of one mapping start in the same column"
_CLOSED: Final = "each [ and { needs its closing bracket, and entries are separated by commas"

_PHRASES: Final[dict[str, Phrase]] = {
    "mapping values are not allowed in this context": Phrase(
        "a colon where no key can stand", "put text that contains ': ' in quotes, or check the indentation"
    ),
    "found a tab character that violates indentation": Phrase("a tab in the indentation", "indent with spaces"),
    "found a tab character where an indentation space is expected": Phrase("a tab in the indentation", "indent with spaces"),
    "found character that cannot start any token": Phrase("a character that cannot begin a value", "put the text in double quotes"),
    "did not find expected key": Phrase("expected a key here", _INDENT),
    "did not find expected '-' indicator": Phrase("expected '-' here, the next entry of the sequence", "check the indentation"),
    "did not find expected ',' or ']'": Phrase("expected ',' or ']' here", _CLOSED),
    "did not find expected ',' or '}'": Phrase("expected ',' or '}' here", _CLOSED),
    "did not find expected node content": Phrase("expected a value here", _CLOSED),
    "found unexpected end of stream": Phrase("a quote that is not closed", "close it with the same quote character", at_context=True),
    "found unexpected document indicator": Phrase("a quote that is not closed", "close it with the same quote character", at_context=True),
    "could not find expected ':'": Phrase("a key without its colon", "write 'key: value', with a blank after the colon", at_context=True),
    "found unknown escape character": Phrase("an unknown escape in double quotes", "write \\\\ for a backslash, or use single quotes"),
    "did not find expected hexdecimal number": Phrase("an escape in double quotes that is not a hexadecimal number", "as in \\u00e9"),
    "did not find expected hexadecimal number": Phrase("an escape in double quotes that is not a hexadecimal number", "as in \\u00e9"),
    "found invalid Unicode character escape code": Phrase(
        "an escape in double quotes that is not a character", "write the character itself"
    ),
    "block sequence entries are not allowed in this context": Phrase("'-' where no sequence can stand", "check the indentation"),
    "mapping keys are not allowed in this context": Phrase("'?' where no key can stand", "write the key without '?'"),
    "block mapping": Phrase("expected a key here", _INDENT),
    "did not find expected <document start>": Phrase(
        "text after the end of the document", "check the indentation, or begin a new document with ---"
    ),
    "found unknown directive name": Phrase("an unknown directive", "remove the line that begins with %"),
    "found duplicate %YAML directive": Phrase("a second %YAML directive", "remove the line that begins with %"),
    "found incompatible YAML document": Phrase("a %YAML directive of another version", "remove the line that begins with %"),
    "found undefined tag handle": Phrase("a tag with an unknown handle", "amsctl manifests have no tags: remove it"),
    "did not find expected alphabetic or numeric character": Phrase(
        "a name is missing after & or *", "put text that begins with & or * in quotes; amsctl manifests have no anchors and aliases"
    ),
    "found unexpected ':'": Phrase("a colon with nothing behind it", "write a blank and a value after the colon"),
    "found extra ':'": Phrase("a second colon", "put text that contains ': ' in quotes"),
    "did not find expected comment or line break": Phrase("text where the line should end", "check the line"),
}

_FIRST_CHARACTER: Final[dict[str, Phrase]] = {
    "\t": Phrase("a tab in the indentation", "indent with spaces"),
    "@": Phrase("a value cannot begin with @", "put it in double quotes"),
    "`": Phrase("a value cannot begin with a backtick", "put it in double quotes"),
    "%": Phrase("a value cannot begin with %", "put it in double quotes"),
}


def phrase(problem: str, character: str) -> Phrase:
    """Plain words for libyaml's ``problem``; ``character`` is the one that stands at the place it names (empty at the end of the file)."""
    if problem == "found character that cannot start any token" and character in _FIRST_CHARACTER:
        return _FIRST_CHARACTER[character]
    known = _PHRASES.get(problem)
    return (
        known
        if known is not None
        else Phrase(f"not valid YAML: {problem or 'it cannot be read'}", "check the indentation, quotes and brackets")
    )
