"""Where a request may send somebody on to."""

import pytest

from api.access.addresses import local, origin_of, with_next


@pytest.mark.parametrize("path", ["/", "/learning/all?q=a%20b&sort=-x", "/conversation?of=shop&id=../..//x", "/a//b"])
def test_a_path_of_this_site_is_kept(path: str) -> None:
    assert local(path) == path


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "learning",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "\\/elsewhere.example",
        "/\t/elsewhere.example",
        "/\n/elsewhere.example",
        "\t//elsewhere.example",
        " //elsewhere.example",
        "https://elsewhere.example/",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=1",
        "/" + "a" * 5_000,
    ],
)
def test_what_might_lead_elsewhere_leads_to_the_first_page(address: str | None) -> None:
    assert local(address) == "/"


def test_where_to_go_on_is_encoded_whole() -> None:
    assert with_next("/sign-in", "/a?b=c&d=é") == "/sign-in?next=%2Fa%3Fb%3Dc%26d%3D%C3%A9"
    assert with_next("/sign-in", "/") == "/sign-in"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Here.example:8443/a?b", "https://here.example:8443"),
        ("null", ""),
        ("", ""),
        ("/path", ""),
        ("http://[::1", ""),
    ],
)
def test_the_origin_of_a_url_is_what_browsers_call_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin
