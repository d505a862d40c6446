"""Base noun phrases: determiner or possessive, numbers, modifiers, nouns."""

from harmoclip.segment.english import lexicon as lx
from harmoclip.segment.english.chunks import Chunk
from teacher import lists
from teacher.tokens import Tokens


def find_chunks(tokens: Tokens) -> list[Chunk]:
    """All base noun phrases, from left to right."""
    chunks, i = [], 0
    while i < len(tokens):
        chunk = _chunk_at(tokens, i)
        if chunk is None:
            i += 1
        else:
            chunks.append(chunk)
            i = chunk.end
    return chunks


def _chunk_at(tokens: Tokens, start: int) -> Chunk | None:
    i = _after_determiner(tokens, start)
    opened = i > start
    noun = None
    while i < len(tokens):
        step = _step(tokens, i, opened=opened, noun=noun)
        if step == 0:
            break
        if tokens.is_noun(i):
            noun = i
        i += step
        opened = True
    if noun is None:
        return None
    return Chunk(start, noun + 1, noun, noun)


def _after_determiner(tokens: Tokens, i: int) -> int:
    """Skip 'all of the'-less determiners: PDT, DT, PRP$, "it's"."""
    if tokens.tag(i) == "PDT" and tokens.tag(i + 1) in ("DT", "PRP$"):
        i += 1
    if tokens.word(i) == "it" and tokens.word(i + 1) == "'s" and _noun_ahead(tokens, i + 2):
        return i + 2
    if tokens.tag(i) in ("DT", "PRP$", "WP$") or tokens.word(i) in ("a", "an"):
        return i + 2 if tokens.word(i + 1) == "no" else i + 1
    return i


def _step(tokens: Tokens, i: int, *, opened: bool, noun: int | None) -> int:
    """How many tokens the phrase may go on by at `i`; 0 ends it."""
    tag = tokens.tag(i)
    if tag.startswith("NN"):
        return 0 if _new_phrase(tokens, i, noun) else 1
    if tag == "POS" or (tokens.word(i) == "'s" and noun == i - 1 and tokens.is_noun(i + 1)):
        return 1 if noun == i - 1 and _noun_ahead(tokens, i + 1) else 0
    if not _noun_ahead(tokens, i + 1):
        return 0
    if tag in ("JJ", "JJR", "JJS", "AFX"):
        return 1 if noun is None or _compound_adjective(tokens, i) else 0
    if tag == "CD":
        return 1 if noun is None else 0
    if tag in ("VBN", "VBD"):
        return _participle(tokens, i, opened=opened, noun=noun)
    if tag == "VBG":
        return _ing(tokens, i, opened=opened, noun=noun)
    if tag == "RP" and opened and noun is None and tokens.tag(i - 1) in ("VBN", "VB"):
        return 1
    if tag.startswith(("RB", "RP")):
        return _adverb(tokens, i, opened=opened, noun=noun)
    if tag in ("CC", ","):
        return _joint(tokens, i, opened=opened, noun=noun)
    return 0


_INSIDE = ("JJ", "JJR", "JJS", "CD", "VBN", "VBG", "RB", "RP", "HYPH", "AFX", "VBD")


def _noun_ahead(tokens: Tokens, i: int) -> bool:
    """Whether modifiers from `i` on lead to a noun."""
    while i < len(tokens):
        if tokens.is_noun(i):
            return True
        if tokens.tag(i) not in _INSIDE and not _is_joint(tokens, i):
            return False
        i += 1
    return False


def _is_joint(tokens: Tokens, i: int) -> bool:
    return tokens.tag(i) in ("CC", ",", "POS") and tokens.tag(i + 1) in ("JJ", "VBN", "NN", "CC")


def _new_phrase(tokens: Tokens, i: int, noun: int | None) -> bool:
    """A plural that does not go with what is before it: 'In a large room | people stand'."""
    if noun is None or tokens.word(i) not in ("people", "men", "women"):
        return False
    start = noun
    while start > 0 and tokens.tag(start - 1)[:2] in ("NN", "JJ"):
        start -= 1
    return tokens.word(start - 1) in ("a", "an")


def _compound_adjective(tokens: Tokens, i: int) -> bool:
    """'a tree heavy area', 'a medium sized room'."""
    return tokens.word(i) in lists.COMPOUND_ADJECTIVES or tokens.word(i) in ("sized", "colored")


def _participle(tokens: Tokens, i: int, *, opened: bool, noun: int | None) -> int:
    if noun is not None:
        return 1 if _compound_adjective(tokens, i) or tokens.deps[i] == "amod" else 0
    if opened:
        return 1
    return 1 if tokens.tag(i - 1)[:2] not in ("NN", "VB", "PR", "RB", "MD") or tokens.deps[i] == "amod" else 0


def _ing(tokens: Tokens, i: int, *, opened: bool, noun: int | None) -> int:
    if lists.is_ing_compound(tokens.word(i), tokens.word(i + 1)):
        return 1
    modifies = tokens.deps[i] in ("amod", "compound")
    if noun is not None:
        return 0
    if opened:
        return 0 if tokens.tag(i - 1) == "CD" and not modifies else 1
    free = tokens.word(i) not in lists.ING_VERBS and tokens.tag(i - 1)[:2] not in ("NN", "VB")
    return 1 if modifies and free else 0


def _adverb(tokens: Tokens, i: int, *, opened: bool, noun: int | None) -> int:
    if noun is not None:
        return 0
    if opened and tokens.is_noun(i + 1):
        return 1
    if tokens.tag(i + 1) not in ("JJ", "VBN", "RB", "JJR", "HYPH", "RP"):
        return 0
    word = tokens.word(i)
    if opened or word in lists.PRE_ADJECTIVE_ADVERBS:
        return 1
    return 1 if word.endswith("ly") and tokens.tag(i - 1)[:2] not in ("VB", "MD") else 0


def _joint(tokens: Tokens, i: int, *, opened: bool, noun: int | None) -> int:
    """'blue and white cup', 'a bush and tree heavy area', 'a ham and cheese sandwich'."""
    before, after = i - 1, i + 1
    if not opened or tokens.tag(after) == "DT":
        return 0
    if noun is None:
        return 1 if tokens.tag(after) in ("JJ", "VBN", "CC", "RB") or _dyed(tokens, after) else 0
    if noun != before or tokens.word(i) != "and":
        return 0
    if _dyed(tokens, before) and _dyed(tokens, after) and _noun_ahead(tokens, after + 1):
        return 1
    if tokens.is_noun(after) and _compound_adjective(tokens, after + 1) and _noun_ahead(tokens, after + 2):
        return 1
    dish = tokens.is_noun(after) and lx.noun_in(tokens.word(after + 1), lists.DISHES)
    return 1 if dish and tokens.tag(i - 2) in ("DT", "CD", "JJ") else 0


def _dyed(tokens: Tokens, i: int) -> bool:
    """A colour or a material, which can modify whatever its tag."""
    return tokens.word(i) in lx.COLORS or tokens.word(i) in lx.MATERIALS
