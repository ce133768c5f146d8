"""What languages are called in English, by their BCP 47 tags: those that the detector tells apart, and more."""

from typing import Final

_NAMES: Final = dict(
    line.split(maxsplit=1)
    for line in """
    af Afrikaans
    am Amharic
    ar Arabic
    az Azerbaijani
    be Belarusian
    bg Bulgarian
    bn Bengali
    bs Bosnian
    ca Catalan
    cs Czech
    cy Welsh
    da Danish
    de German
    el Greek
    en English
    es Spanish
    et Estonian
    eu Basque
    fa Persian
    fi Finnish
    fr French
    ga Irish
    gl Galician
    gu Gujarati
    he Hebrew
    hi Hindi
    hr Croatian
    hu Hungarian
    hy Armenian
    id Indonesian
    is Icelandic
    it Italian
    ja Japanese
    ka Georgian
    kk Kazakh
    km Khmer
    kn Kannada
    ko Korean
    lo Lao
    lt Lithuanian
    lv Latvian
    mk Macedonian
    ml Malayalam
    mn Mongolian
    mr Marathi
    ms Malay
    mt Maltese
    my Burmese
    nb Norwegian
    ne Nepali
    nl Dutch
    nn Norwegian Nynorsk
    no Norwegian
    pa Punjabi
    pl Polish
    pt Portuguese
    ro Romanian
    ru Russian
    si Sinhala
    sk Slovak
    sl Slovenian
    sq Albanian
    sr Serbian
    sv Swedish
    sw Swahili
    ta Tamil
    te Telugu
    th Thai
    tl Tagalog
    tr Turkish
    uk Ukrainian
    ur Urdu
    uz Uzbek
    vi Vietnamese
    zh Chinese
    zu Zulu
    """.strip().splitlines()
)


def language_name(tag: str) -> str:
    """Name a language: `en` is English, `pt-BR` Portuguese (BR); a tag that is not known is given as it is."""
    language, _, variant = tag.replace("_", "-").partition("-")
    name = _NAMES.get(language.lower())
    if name is None:
        return tag
    return f"{name} ({variant})" if variant else name
