"""Text of others is masked before it is cut: no piece of a secret of eight characters comes through, in whatever encoding and wherever the cut falls."""

from __future__ import annotations

import gc
import html
import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest

from amsctl.config import UnlimitedShownAs
from amsctl.errors import AmsMalformed
from amsctl.masking import MASK, PIECE, QUOTED, Masks, masked, quoted
from amsctl.model import Firm
from amsctl.wire import answers
from tests.hostile.canaries import API_ID, CANARIES

SECRET = CANARIES["the Basic password"]
PAIR = f"{API_ID}:{SECRET}"
UNUSUAL = "pä\"ß/w+rd&'<%01>\\n"


@pytest.fixture
def known() -> Masks:
    return Masks((SECRET, b64encode(PAIR.encode()).decode(), UNUSUAL))


def encodings(secret: str) -> dict[str, str]:
    content = secret.encode()
    percent = quote(secret, safe="")
    return {
        "raw": secret,
        "percent": percent,
        "percent, small": percent.replace("%2B", "%2b").replace("%2F", "%2f").replace("%C3", "%c3"),
        "form": quote_plus(secret),
        "JSON": json.dumps(secret)[1:-1],
        "JSON, slashes": json.dumps(secret)[1:-1].replace("/", "\\/"),
        "JSON, letters": json.dumps(secret, ensure_ascii=False)[1:-1],
        "HTML": html.escape(secret),
        "Python": repr(secret)[1:-1],
        "hexadecimal": content.hex(),
        "base64": b64encode(content).decode(),
        "base64 of the pair": b64encode(f"{API_ID}:{secret}".encode()).decode(),
        "base64 of the pair, for URLs": urlsafe_b64encode(f"{API_ID}:{secret}".encode()).decode(),
        "base64 of the pair, percent": quote(b64encode(f"{API_ID}:{secret}".encode()).decode(), safe=""),
        "base64 one further": b64encode(f"{API_ID}::{secret}".encode()).decode(),
        "base64 two further": b64encode(f"{API_ID}:::{secret}".encode()).decode(),
    }


def pieces(form: str, secret: str) -> set[str]:
    """The pieces of eight that tell of the secret: of base64, those that depend on it and not on the name before it."""
    before = len(b64encode(f"{API_ID}:::".encode()).decode()) if form.startswith(b64encode(API_ID.encode()).decode()[:8]) else 0
    return {form[at : at + PIECE] for at in range(before, len(form.rstrip("=")) - PIECE + 1)}


@pytest.mark.parametrize("secret", [SECRET, UNUSUAL], ids=["ordinary", "unusual"])
@pytest.mark.parametrize("name", encodings(SECRET))
def test_a_secret_that_straddles_the_cut_is_masked_at_every_offset(known: Masks, name: str, secret: str) -> None:
    """Whatever stands before it, up to where nothing of it would be shown, and whatever follows."""
    form = encodings(secret)[name]
    telling = pieces(form, secret)
    assert telling
    for before in range(QUOTED + 2):
        for after in ("", " and more than is shown " * 400):
            shown = quoted("." * before + form + after)
            assert not [piece for piece in telling if piece in shown], f"{before}: {shown}"
            assert len(shown) <= QUOTED + len(MASK)
            # What is left at the cut is either ordinary text or shorter than a piece.
            assert form[:PIECE] not in shown or name.startswith("base64")


def test_what_is_left_of_a_secret_at_the_cut_is_masked_too(known: Masks) -> None:
    """One character of it within what is shown is enough: it is masked by what follows it."""
    for left in range(1, len(SECRET)):
        assert quoted("." * (QUOTED - left) + SECRET) == "." * (QUOTED - left) + MASK + "…"


def test_a_server_that_cuts_the_secret_itself_shows_at_most_seven_characters(known: Masks) -> None:
    for start in range(len(SECRET)):
        for end in range(start + 1, len(SECRET) + 1):
            shown = masked(f"header was {SECRET[start:end]} …")
            assert (MASK in shown) == (end - start >= PIECE)
            assert not [piece for piece in pieces(SECRET, SECRET) if piece in shown]


def test_no_more_of_a_text_is_shown_for_what_is_masked_in_it(known: Masks) -> None:
    """What others might call a secret stands further on; and sixteen megabytes of a hostile answer cost no more than their beginning."""
    assert quoted(SECRET * 3 + "x" * (QUOTED - 3 * len(SECRET)) + "beyond") == f"{MASK}{'x' * (QUOTED - 3 * len(SECRET))}…"
    assert quoted(SECRET * 500_000) == f"{MASK}…"
    assert quoted("x" * 16_000_000) == "x" * QUOTED + "…"


def test_short_secrets_are_masked_whole_and_ordinary_words_are_left() -> None:
    masks = Masks(("k3y", ""))
    assert masked("the k3y is k3y") == f"the {MASK} is {MASK}"
    assert masks.conceal("an ordinary key") == "an ordinary key"
    assert quoted({"a": 1}) == "{'a': 1}"
    assert "k3y" not in repr(masks)


def test_secrets_are_known_as_long_as_they_are_in_use() -> None:
    masks = Masks(("first-secret-of-all",))
    masks.know(("second-secret-of-all",))
    assert masked("first-secret-of-all second-secret-of-all") == f"first{MASK} {MASK}"  # "-secret-of-all" is a piece of the second
    del masks
    gc.collect()
    assert masked("second-secret-of-all") == "second-secret-of-all"


@pytest.mark.parametrize("before", range(0, QUOTED + 1, 5))
def test_every_place_that_quotes_an_answer_masks_before_it_cuts(known: Masks, before: int) -> None:
    """A failure's text, a value that cannot be used, a misspelt name, an unknown status."""
    echo = "." * before + f"Authorization: Basic {b64encode(PAIR.encode()).decode()} {SECRET}"
    told = answers.error_in({"errorType": echo, "error": echo})
    assert told is not None
    head = {"service": "ICC", "clearingFirm": "F", "accountNumber": "A"}
    firm = Firm(name="F", clearing_id="1")
    texts = [told.error_type, told.text]
    rows = [{"efLimits": echo}, {"efLimits": {"long": echo, "short": 1}}, {"efLimits": {echo: 1}}, {"efLimit": echo}, {"limit": [echo]}]
    for row in rows:
        with pytest.raises(AmsMalformed) as caught:
            answers.limit_rows(
                {**head, "limits": [{"product": "P", "efId": "E", **row}]}, firm=firm, number="A", shown_as=UnlimitedShownAs.NULL
            )
        texts.append(str(caught.value))
    with pytest.raises(AmsMalformed) as caught:
        answers.limit_rows({**head, "service": echo, "limits": []}, firm=firm, number="A", shown_as=UnlimitedShownAs.NULL)
    texts.append(str(caught.value))
    ((_, entry),) = answers.accounts(
        {"service": "ICC", "clearingAccounts": [{"clearingFirm": "F", "accountNumber": "A", "status": echo, "owner": echo}]},
        firm=firm,
        where="x",
    )
    texts += [entry.status_shown, str(entry.owner)]
    telling = pieces(SECRET, SECRET) | pieces(b64encode(PAIR.encode()).decode(), SECRET)
    assert not [(piece, text) for text in texts for piece in telling if piece in text]
