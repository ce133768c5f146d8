import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.devices import USER_AGENT_CHARACTERS, device_class

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"{WEBKIT} Chrome/130.0.0.0"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        pytest.param(f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36", "desktop", id="Windows"),
        pytest.param(
            "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; .NET4.0C; Tablet PC 2.0)",
            "desktop",
            id="Windows 7 with the handwriting component",
        ),
        pytest.param(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.5 Safari/605.1.15",
            "desktop",
            id="Mac",
        ),
        pytest.param(
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "desktop", id="Ubuntu"
        ),
        pytest.param("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "desktop", id="Linux"),
        pytest.param(f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", "desktop", id="Chromebook"),
        pytest.param(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.5 Mobile/15E148 Safari/604.1",
            "mobile",
            id="iPhone",
        ),
        pytest.param(
            f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME} Mobile Safari/537.36", "mobile", id="Android phone"
        ),
        pytest.param(
            "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) AppleWebKit/537.36 "
            "(KHTML, like Gecko) Chrome/52.0.2743.116 Mobile Safari/537.36 Edge/15.15063",
            "mobile",
            id="Windows Phone",
        ),
        pytest.param(
            "Mozilla/5.0 (Linux; Tizen 2.3; SAMSUNG SM-Z130H) AppleWebKit/537.3 (KHTML, like Gecko) "
            "SamsungBrowser/1.0 Mobile Safari/537.3",
            "mobile",
            id="a phone with the system of a television",
        ),
        pytest.param(
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/16.6 Mobile/15E148 Safari/604.1",
            "tablet",
            id="iPad",
        ),
        pytest.param(
            f"Mozilla/5.0 (Linux; Android 13; SM-X906C) {CHROME} Safari/537.36", "tablet", id="Android tablet"
        ),
        pytest.param("Mozilla/5.0 (Android 13; Tablet; rv:109.0) Gecko/118.0 Firefox/118.0", "tablet", id="Firefox"),
        pytest.param(
            f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {WEBKIT} SamsungBrowser/4.0 Chrome/76.0.3809.146 TV Safari",
            "tv",
            id="Samsung television",
        ),
        pytest.param(
            f"Mozilla/5.0 (Web0S; Linux/SmartTV) {WEBKIT} Chrome/79.0.3945.79 Safari/537.36 WebAppManager",
            "tv",
            id="LG television",
        ),
        pytest.param(
            f"Mozilla/5.0 (Linux; Android 11; BRAVIA 4K VH2 Build/RTT2) {CHROME} Safari/537.36", "tv", id="Sony"
        ),
        pytest.param(
            f"Mozilla/5.0 (Linux; Android 9; AFTKA Build/PS7624) {WEBKIT} Silk/110 like Chrome/110.0 Safari/537.36",
            "tv",
            id="Fire TV",
        ),
        pytest.param(
            f"Mozilla/5.0 (Linux; Android 10; Chromecast) {CHROME} Safari/537.36 CrKey/1.56", "tv", id="Chromecast"
        ),
        pytest.param("AppleTV11,1/11.1", "tv", id="Apple TV"),
        pytest.param("Roku/DVP-9.10 (519.10E04111A)", "tv", id="Roku"),
        pytest.param("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot", id="crawler"),
        pytest.param(
            f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) {CHROME} Mobile Safari/537.36 (compatible; Googlebot/2.1)",
            "bot",
            id="a crawler that looks like a phone",
        ),
        pytest.param("curl/8.5.0", "", id="a library"),
        pytest.param("", "", id="nothing"),
        pytest.param("🙂", "", id="nonsense"),
    ],
)
def test_a_user_agent_tells_the_class_of_device(user_agent: str, device: str) -> None:
    assert device_class(user_agent) == device


def test_what_comes_behind_a_thousand_characters_is_not_read() -> None:
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148"
    assert device_class(phone + " " * USER_AGENT_CHARACTERS + "Googlebot/2.1") == "mobile"
    assert device_class(" " * USER_AGENT_CHARACTERS + phone) == ""


@given(
    st.text(max_size=100)
    | st.lists(st.sampled_from(["Android ", "Mobile ", "TV ", "iPad; ", "Linux/", "(", ";"]), max_size=30).map("".join)
)
def test_no_user_agent_is_too_strange(user_agent: str) -> None:
    assert device_class(user_agent) in {"desktop", "mobile", "tablet", "tv", "bot", ""}
