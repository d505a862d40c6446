"""Small tokenizers of every family, built without a network."""

import string
from pathlib import Path

import open_clip
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CLIPTokenizer, PreTrainedTokenizerFast

LETTERS = [*string.ascii_letters, *string.punctuation, "“", "”"]
CORPUS = [
    "a man in a red hat walks two dogs on top of a hill",
    "a group of people riding horses next to a small wooden bench",
    "a close up of a plate of food with broccoli and rice",
    'the café has naïve paintings and élan with 12 cups & 3 "quoted" signs (on it) - don\'t',
    "two young women sitting at a table with laptops; one is eating a hot dog!",
] * 4


def clip() -> CLIPTokenizer:
    """Hugging Face's CLIP tokenizer with CLIP's own vocabulary."""
    pytest.importorskip("transformers", "5", reason="the tokenizers of transformers 4 are made of files")
    simple = open_clip.SimpleTokenizer()
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocab = {names.get(word, word): number for word, number in simple.encoder.items()}
    merges = sorted(simple.bpe_ranks, key=simple.bpe_ranks.__getitem__)
    return CLIPTokenizer(vocab=vocab, merges=[tuple(merge) for merge in merges])


def bert() -> PreTrainedTokenizerFast:
    """WordPiece without case and accents."""
    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    core.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(show_progress=False, vocab_size=300, special_tokens=special)
    )
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def roberta() -> PreTrainedTokenizerFast:
    """Byte-level BPE whose tokens carry the space before them."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator(CORPUS, trainer)
    core.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>", cls_token="<s>"
    )


def t5() -> PreTrainedTokenizerFast:
    """Unigram pieces with a space mark, as in T5, XLM-R and SigLIP."""
    core = Tokenizer(models.Unigram())
    core.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        show_progress=False,
        vocab_size=200,
        special_tokens=special,
        unk_token="<unk>",
        initial_alphabet=LETTERS,
    )
    core.train_from_iterator(CORPUS, trainer)
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def gemma() -> PreTrainedTokenizerFast:
    """BPE over text whose spaces are marks, with bytes for what is unknown, as in SigLIP 2."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.normalizer = normalizers.Replace(" ", "▁")
    core.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        show_progress=False, vocab_size=800, special_tokens=[*special, *byte_tokens]
    )
    core.train_from_iterator(CORPUS, trainer)
    core.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )


FAST = {"clip": clip, "bert": bert, "roberta": roberta, "t5": t5, "gemma": gemma}


def behind_open_clip(folder: Path, name: str, **options: object) -> open_clip.tokenizer.HFTokenizer:
    """One of the tokenizers above behind open_clip's wrapper, which loads it from a folder."""
    FAST[name]().save_pretrained(folder)
    return open_clip.tokenizer.HFTokenizer(str(folder), **options)
