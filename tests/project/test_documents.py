"""The documents tell the truth: commands run, links lead somewhere, tables are complete."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest
import yaml

from amsctl import config
from amsctl.cli.shell import COMMANDS, build
from amsctl.errors import ExitCode
from amsctl.manifests.starter import starter_files, to_edit
from tests.project.checkout import ROOT, pyproject
from tools import generate_reference, run_tour

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
TOURS = ("README.md", "docs/tutorial.md")
FENCE = run_tour.FENCE


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("name", TOURS)
def test_tours_run_and_print_what_they_show(name: str) -> None:
    """Every command of the README and the tutorial is run against the sandbox and prints what the page shows; `tools/run_tour.py --write` renews it."""
    before = (ROOT / name).read_text(encoding="utf-8")
    assert before.count("\n$ amsctl") >= 5
    assert run_tour.run_page(ROOT / name).splitlines() == before.splitlines()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (
            "README.md",
            ["short  567 → 600", ": 1 verified; exit code 0", "No changes", "567", "carried out already", "\n4\n", "yaml:14:34): expected"],
        ),
        (
            "docs/tutorial.md",
            [
                "unknown key executionFirm",
                "short  567 → 600",
                "s4, loosen",
                "120",
                "80",
                "Stale: ",
                "\n4\n",
                "2 steps: 2 verified",
                "s1, halt  suspend",
            ],
        ),
    ],
)
def test_tours_still_show_what_they_speak_of(name: str, wanted: list[str]) -> None:
    """A page renewed by `--write` must still be the story that its text tells, in that order."""
    shown = "".join(body for language, body in blocks(ROOT / name) if language == "console")
    place = 0
    for text in wanted:
        place = shown.find(text, place)
        assert place >= 0, f"{name} no longer shows {text!r} where its text speaks of it"


def test_a_page_that_lies_is_found(tmp_path: Path) -> None:
    """The comparison of the tours can fail, by output as by exit code."""
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo one\ntwo\n$ false\n$ echo $?\n0\n```\n", encoding="utf-8")
    assert run_tour.run_page(page) == "```console\n$ echo one\none\n$ false\n$ echo $?\n1\n```\n"


def test_a_page_must_work_as_it_is_typed(tmp_path: Path) -> None:
    """Where a page goes wrong for who types it along: in the clone, with a job that it never stops, in a folder that it never makes."""
    page = tmp_path / "page.md"
    page.write_text("```console\n$ git ls-files | wc -l\n0\n$ sleep 9 & echo stop it with care\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"leaves running: .*sleep 9"):
        run_tour.run_page(page)
    page.write_text("```console\n$ git ls-files | wc -l\n0\n$ sleep 9 &\n$ kill %1\n$ jobs -r\n```\n", encoding="utf-8")
    run_tour.SERVING, kept = "", run_tour.SERVING
    try:
        assert run_tour.run_page(page) == page.read_text(encoding="utf-8").replace("\n0\n", "\n1\n")
    finally:
        run_tour.SERVING = kept
    page.write_text("```yaml file=nowhere/a.yaml\na: 1\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"makes no folder for nowhere/a\.yaml"):
        run_tour.run_page(page)


@pytest.mark.parametrize("name", TOURS)
def test_tours_start_in_a_folder_of_their_own(name: str) -> None:
    """The reader of a page comes out of a clone, or out of another page: the first command makes an empty folder that no other page makes."""
    first = next(next(run_tour.commands_of(body)) for language, body in blocks(ROOT / name) if language == "console")[1]
    found = re.fullmatch(r"mkdir (~/[a-z]+) && cd \1", first)
    assert found, first
    others = [ROOT / other for other in TOURS if other != name]
    assert all(f"mkdir {found[1]} " not in page.read_text(encoding="utf-8") for page in others)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_are_named_in_sight(page: Path) -> None:
    """The info string of a block is not shown: the line above it names the file."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        named = re.search(r"file=(\S+)", match["info"])
        if named is not None:
            above = text[: match.start()].rstrip().rsplit("\n", 1)[-1]
            assert above.startswith(f"`{named[1]}`"), named[1]


def test_a_tour_is_the_same_in_a_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """amsctl names the pipeline that it runs in; a page shows what a person sees."""
    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILD_URL"):
        monkeypatch.setenv(name, "true")
    page = tmp_path / "page.md"
    page.write_text("```console\n$ env | grep -cE '^(CI|GITHUB_|GITLAB_|BUILD_)'\n0\n```\n", encoding="utf-8")
    assert run_tour.run_page(page) == page.read_text(encoding="utf-8")


def test_only_what_moves_is_masked() -> None:
    """Times, digests, durations and ports are not compared; limits, counts and names are."""
    shown = "plan sha256:0123456789abcdef01 of 2026-11-21T10:00:00Z took 0.3 s at 127.0.0.1:8480: 567 -> 600, 12 rows, account DV10121801A"
    assert run_tour.masked(shown) == "plan DIGEST of TIME took DURATION at ADDRESS: 567 -> 600, 12 rows, account DV10121801A"


def test_reference_is_fresh() -> None:
    """docs/reference says what the program says of itself; `make docs` renews it."""
    assert [path.name for path in generate_reference.stale_pages()] == []


def test_reference_covers_everything() -> None:
    """Every command, every exit code and every schema has its place."""
    pages = generate_reference.pages()
    assert all(f"## amsctl {name}\n" in pages["commands.md"] for name in COMMANDS)
    assert all(f"\n| {int(code)} |" in pages["exit-codes.md"] for code in ExitCode)
    everything = "\n".join(pages.values())
    assert all(f"`schemas/{path.name}`" in everything for path in (ROOT / "schemas").glob("*.json"))


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings get."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and an anchor that it has."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(target)
    assert dead == []


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each code block."""
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        yield match["info"].strip().partition(" ")[0], match["body"]


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words of every amsctl command that a page's shell and pipeline blocks hold."""
    for language, body in blocks(page):
        if language not in {"console", "sh", "yaml", "text", ""} or page.parent.name == "reference":
            continue
        for line in body.replace("\\\n", " ").splitlines():
            found = re.match(r"^\s*(?:\$ |- run: |- |run: )?(?:[A-Z_]+=\S* )*(amsctl( .*)?)$", line)
            for part in re.split(r"\s*(?:&&|\|\||;|\||(?<![0-9])>|2>|&$)\s*", found.group(1)) if found else ():
                words = shlex.split(part, comments=True)
                if words[:1] == ["amsctl"]:
                    yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_in_documents_exist(page: Path) -> None:
    """A command line in a document parses: the command, its options and its arguments exist."""
    group = build()
    for words in command_lines(page):
        shown = ["amsctl", *words]
        words = drop_global_options(words)
        if not words or words[0].startswith("-"):
            assert words in ([], ["--version"], ["--help"]), shown
            continue
        assert words[0] in COMMANDS, shown
        command = group.get_command(click.Context(group), words[0])
        assert command is not None
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        used = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
        assert used <= options, shown


def drop_global_options(words: list[str]) -> list[str]:
    words = list(words)
    while words and words[0] in {"-C", "-e", "--environment", "--color", "--json-logs", "-v", "--verbose"}:
        del words[: 2 if words[0] in {"-C", "-e", "--environment", "--color"} else 1]
    return words


def test_every_setting_about_the_unknown_is_explained() -> None:
    """docs/assumptions.md names every setting that stands for something CME has not published, and its default."""
    text = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
    for kind, prefix in ((config.Assumptions, "assumptions."), (config.Requests, "requests.")):
        for item in dataclasses.fields(kind):
            name = prefix + generate_reference.camel(item.name)
            assert f"`{name}`" in text, name
    assert "`spec.unsetMeans`" in text
    assert "`auth.logonPath`" in text


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md"])
def test_exit_codes_are_told_completely(name: str) -> None:
    """A person who looks up an exit code finds it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for code in ExitCode:
        assert re.search(rf"(^\| |^## |^## 130 and |^\| 130, ){int(code)}\b", text, re.MULTILINE), int(code)


def test_index_lists_every_page() -> None:
    """docs/README.md leads to every page below docs."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").rglob("*.md")):
        name = page.relative_to(ROOT / "docs").as_posix()
        if name != "README.md" and not name.startswith("reference/"):
            assert f"({name})" in index, name
    assert "(reference/README.md)" in index


def test_pictures_are_small_and_shown() -> None:
    """Each picture is one, takes little room, and stands in a document; `python -m tools.picture_plan` makes them."""
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    }
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert picture.stat().st_size < 300_000
        assert picture in shown, picture.name
    assert ROOT / "docs" / "images" / "plan-light.png" in {path for path in shown if path.exists()}


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=page_id)
def test_decisions_say_why(page: Path) -> None:
    """A decision tells its context, itself, its consequences and what was rejected, on about a page."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.name[:4]} ")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [heading for heading in headings if heading in {"Context", "Decision", "Consequences", "Rejected"}] == [
        "Context", "Decision", "Consequences", "Rejected",
    ]  # fmt: skip
    assert len(text.splitlines()) <= 80


def test_required_checks_have_the_names_that_the_forge_shows() -> None:
    """GitHub calls a job of a called workflow CALLER / NAME; a check of another name is one that a protected branch waits for in vain."""
    page = " ".join((ROOT / "docs" / "howto" / "pipeline.md").read_text(encoding="utf-8").split())
    files = starter_files("github")
    called = yaml.safe_load(files[".github/workflows/limits-plan.yml"])["jobs"]
    names = [f"`plan / {job['name']}`" for job in called.values()]
    assert yaml.safe_load(files[".github/workflows/limits.yml"])["jobs"]["plan"]["uses"].endswith("/limits-plan.yml")
    assert f"the checks {', '.join(names[:-1])} and {names[-1]}." in page


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_what_init_leaves_to_edit_stands_on_the_page(ci: str) -> None:
    """Each file that init says a person must fill in, and each setting in it that holds a sample."""
    page = (ROOT / "docs" / "howto" / "pipeline.md").read_text(encoding="utf-8")
    part = page[page.index({"github": "\n## GitHub\n", "gitlab": "\n## GitLab\n"}[ci]) :].split("\n## ")[1]
    assert [name for name in (*to_edit(ci), "environment", "clearing-firm", "accounts/") if f"`{name}`" not in part] == []
    files = starter_files(ci)
    assert all(name in files for name in to_edit(ci))
    assert "production:" in files["amsctl.yaml"]


@pytest.mark.parametrize("ci", ["github", "gitlab", "none"])
def test_what_init_writes_fits_a_screen(ci: str) -> None:
    """Comments of a new repository are read in a terminal."""
    own = [name for name in starter_files(ci) if "/actions/" not in name and "/limits-" not in name and not name.startswith(".gitlab/")]
    assert [line for name in own for line in starter_files(ci)[name].splitlines() if line.startswith("#") and len(line) > 100] == []
    ignored = starter_files(ci)[".gitignore"].split()
    assert {"*.approval.json", "*.bak", "*.plan.json", "plan.json"} <= set(ignored)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_that_pages_save_are_ignored(page: Path) -> None:
    """A plan or an approval that a page tells a person to save never becomes a part of a limits repository."""
    ignored = starter_files("none")[".gitignore"].split()
    for words in command_lines(page):
        saved = [words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-o", "--out"}]
        if {"plan", "rollback", "approve"} & set(words):
            assert [name for name in saved if not any(fnmatch(name, pattern) for pattern in ignored)] in ([], ["FILE"]), words


def test_changelog_speaks_of_this_version() -> None:
    """What a user notices stands in the changelog before it is released."""
    assert f"\n## {pyproject()['project']['version']}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
