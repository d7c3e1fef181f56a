"""Languages by their English names, as openai-whisper and transformers take them beside codes."""

from collections.abc import Collection

from jaxdl.errors import UserError, nearest

# Those that Whisper was trained with (Radford et al., 2022): its code of each, and its names.
_TABLE = """
af afrikaans; am amharic; ar arabic; as assamese; az azerbaijani; ba bashkir; be belarusian;
bg bulgarian; bn bengali; bo tibetan; br breton; bs bosnian; ca catalan, valencian; cs czech;
cy welsh; da danish; de german; el greek; en english; es spanish, castilian; et estonian;
eu basque; fa persian; fi finnish; fo faroese; fr french; gl galician; gu gujarati; ha hausa;
haw hawaiian; he hebrew; hi hindi; hr croatian; ht haitian creole, haitian; hu hungarian;
hy armenian; id indonesian; is icelandic; it italian; ja japanese; jw javanese; ka georgian;
kk kazakh; km khmer; kn kannada; ko korean; la latin; lb luxembourgish, letzeburgesch; ln lingala;
lo lao; lt lithuanian; lv latvian; mg malagasy; mi maori; mk macedonian; ml malayalam;
mn mongolian; mr marathi; ms malay; mt maltese; my myanmar, burmese; ne nepali; nl dutch, flemish;
nn nynorsk; no norwegian; oc occitan; pa punjabi, panjabi; pl polish; ps pashto, pushto;
pt portuguese; ro romanian, moldavian, moldovan; ru russian; sa sanskrit; sd sindhi;
si sinhala, sinhalese; sk slovak; sl slovenian; sn shona; so somali; sq albanian; sr serbian;
su sundanese; sv swedish; sw swahili; ta tamil; te telugu; tg tajik; th thai; tk turkmen;
tl tagalog; tr turkish; tt tatar; uk ukrainian; ur urdu; uz uzbek; vi vietnamese; yi yiddish;
yo yoruba; yue cantonese; zh chinese, mandarin
"""
_ROWS = [row.split(maxsplit=1) for row in " ".join(_TABLE.split()).split("; ")]
# {name: code}.
CODES = {name: code for code, names in _ROWS for name in names.split(", ")}


def code(language: str, known: Collection[str]) -> str:
    """The code of a language that is told by its code or by its name, in letters of any case.

    Args:
      language: such as "de", "German", "haitian creole", or a token, "<|de|>".
      known: the codes that there are tokens of.

    Raises:
      UserError: it is none of these; the message names the nearest codes and names.
    """
    asked = language.lower().removeprefix("<|").removesuffix("|>").strip()
    found = CODES.get(asked, asked)
    if found in known:
        return found
    names = [name for name, own in CODES.items() if own in known]
    told = f"language={language!r}"
    if asked in CODES:
        raise UserError(f"{told}: this model has no token of it ({found}): {_one_of(known)}")
    raise UserError(f"{told}: {nearest(asked, [*known, *names])}")


def _one_of(codes: Collection[str]) -> str:
    return f"one of: {', '.join(sorted(codes))}"
