"""What the pages load: small, ours or pinned, and nothing inline."""

import gzip
import hashlib
import re

import pytest

from api.pages.rendering import HERE, STATIC

KILOBYTE = 1_024
VENDOR = STATIC / "vendor"
TEMPLATES = sorted((HERE / "templates").glob("*.html"))
INLINE = {
    "a style attribute": r"\sstyle\s*=",
    "a style element": r"<style",
    "a handler": r"\son[a-z]+\s*=",
    "a script element with a text": r"<script(?![^>]*\bsrc=)",
    "an htmx handler": r"hx-on",
    "an htmx expression": r"[\"'=]js:|hx-trigger=[^>]*\[",
    "an address elsewhere": r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//",
    "a text that is not escaped": r"\|\s*safe\b|autoescape",
}


def _gzipped(*files):
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)


def test_script_and_style_together_are_at_most_60_kilobytes():
    assert _gzipped(*STATIC.rglob("*.js"), *STATIC.rglob("*.css")) <= 60 * KILOBYTE


def test_our_style_is_less_than_12_kilobytes():
    assert _gzipped(*STATIC.glob("*.css")) < 12 * KILOBYTE


def test_what_others_made_is_what_the_readme_says():
    readme = (VENDOR / "README.md").read_text()
    rows = re.findall(r"^\| (\S+\.(?:js|css)) \|.*\| ([0-9a-f]{64}) \|$", readme, re.MULTILINE)
    assert {name for name, _ in rows} == {file.name for file in VENDOR.iterdir() if file.suffix in {".js", ".css"}}
    for name, digest in rows:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("what", INLINE)
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_a_template_has_nothing_that_the_policy_forbids(template, what):
    assert not re.search(INLINE[what], template.read_text(), re.IGNORECASE)


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda file: file.name)
def test_a_script_makes_no_markup_of_a_text(script):
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script.read_text()
    )


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_every_file_that_a_template_names_is_there(template):
    for name in re.findall(r"static\('([^']+)'\)", template.read_text()):
        assert (STATIC / name).is_file(), name
