"""Tiny models with random weights, written as the hub would hold them; nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*_SPECIAL, "hello", "world", "good", "bad", "film", "is", "the", "a", "where", "who"]


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=32,
    ).save_pretrained(folder)


def _labels(*names: str) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}


def bert(kind: str, folder: Path) -> Path:
    """A BERT for ``kind``, such as SequenceClassification, with the labels neg, neu and pos."""
    import torch
    import transformers

    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        initializer_range=1.0,
        **(_labels("start", "end") if kind == "QuestionAnswering" else _labels("neg", "neu", "pos")),
    )
    torch.manual_seed(0)
    getattr(transformers, f"BertFor{kind}")(config).save_pretrained(folder)
    _tokenizer(folder)
    return folder


def gpt(folder: Path, *, padding: bool = True) -> Path:
    """A GPT-2 that writes text; without ``padding`` its tokenizer has no token to fill up with."""
    import torch
    import transformers

    config = transformers.GPT2Config(
        vocab_size=len(WORDS), n_positions=32, n_embd=16, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=None
    )
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    _tokenizer(folder)
    if not padding:
        path = folder / "tokenizer_config.json"
        told = json.loads(path.read_text())
        del told["pad_token"]
        path.write_text(json.dumps({**told, "eos_token": "[SEP]"}))
    return folder


def vit(folder: Path) -> Path:
    """A vision transformer that tells cats, dogs and foxes apart in images of 16 x 16 pixels."""
    import torch
    import transformers

    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        initializer_range=1.0,
        **_labels("cat", "dog", "fox"),
    )
    torch.manual_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder
