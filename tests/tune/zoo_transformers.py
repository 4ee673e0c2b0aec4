"""Small configurations of models of the transformers package."""

import torch

IMAGES = torch.rand(2, 3, 32, 32)
TOKENS = torch.randint(0, 128, (2, 16))
MASK = torch.ones_like(TOKENS)

# Sizes that most configurations of transformers share.
SIZES = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
DECODER = {**SIZES, "num_key_value_heads": 2, "max_position_embeddings": 64}
VISION = {**SIZES, "image_size": 32, "patch_size": 8}
VISION.pop("vocab_size")
QWEN_MOE = {
    **DECODER,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "head_dim": 8,
    "experts_implementation": "batched_mm",
}
GEMMA = {
    **DECODER,
    "head_dim": 8,
    "num_hidden_layers": 3,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
}
GPT2 = {"vocab_size": 128, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
OPT = {**SIZES, "ffn_dim": 64, "max_position_embeddings": 64, "word_embed_proj_dim": 32, "pad_token_id": 1}
OPT.pop("intermediate_size")
T5 = {"vocab_size": 128, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
SWIN = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [2, 2, 1],
    "num_heads": [2, 4, 4],
    "window_size": 4,
}
WHISPER = {
    "vocab_size": 128,
    "d_model": 32,
    "num_mel_bins": 8,
    "max_source_positions": 16,
    "max_target_positions": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
for side in ("encoder", "decoder"):
    WHISPER |= {f"{side}_layers": 2, f"{side}_attention_heads": 4, f"{side}_ffn_dim": 64}
MOBILENET = {"image_size": 32, "depth_multiplier": 1.0, "finegrained_output": False}
EFFICIENTNET = {
    "image_size": 32,
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
    "hidden_dim": 1280,
    "in_channels": [32, 16, 24],
    "out_channels": [16, 24, 40],
    "kernel_sizes": [3, 3, 5],
    "strides": [1, 2, 2],
    "expand_ratios": [1, 4, 4],
    "num_block_repeats": [1, 2, 2],
    "depthwise_padding": [],
}
CLIP = {"text_config": {**SIZES, "eos_token_id": 2}, "vision_config": VISION, "projection_dim": 16}

IDS = {"input_ids": TOKENS, "use_cache": False}
MASKED = {"input_ids": TOKENS, "attention_mask": MASK}
PIXELS = {"pixel_values": IMAGES}
TARGET = {"decoder_input_ids": TOKENS[:, :8], "use_cache": False}

# name: configuration class, model class, configuration, inputs
TRANSFORMERS = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", DECODER, IDS),
    "llama_dynamic": ("LlamaConfig", "LlamaForCausalLM", DECODER, {**IDS, "attention_mask": MASK}),
    "mistral": ("MistralConfig", "MistralForCausalLM", {**DECODER, "sliding_window": 8}, IDS),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", {**DECODER, "pad_token_id": 0}, IDS),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", DECODER, IDS),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {**DECODER, "head_dim": 8}, IDS),
    "qwen3moe": ("Qwen3MoeConfig", "Qwen3MoeForCausalLM", QWEN_MOE, IDS),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", GEMMA, {**IDS, "attention_mask": MASK}),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", GPT2, IDS),
    "opt": ("OPTConfig", "OPTForCausalLM", OPT, IDS),
    "bert": ("BertConfig", "BertModel", SIZES, MASKED),
    "bert_1layer": ("BertConfig", "BertModel", {**SIZES, "num_hidden_layers": 1}, MASKED),
    "t5": ("T5Config", "T5ForConditionalGeneration", T5, {**MASKED, **TARGET}),
    "vit": ("ViTConfig", "ViTForImageClassification", VISION, PIXELS),
    "mobilenet": ("MobileNetV2Config", "MobileNetV2ForImageClassification", MOBILENET, PIXELS),
    "efficientnet": ("EfficientNetConfig", "EfficientNetForImageClassification", EFFICIENTNET, PIXELS),
    "swin": ("SwinConfig", "SwinForImageClassification", SWIN, PIXELS),
    "whisper": (
        "WhisperConfig",
        "WhisperForConditionalGeneration",
        WHISPER,
        {"input_features": torch.rand(2, 8, 32), **TARGET},
    ),
    "clip": ("CLIPConfig", "CLIPModel", CLIP, {**MASKED, **PIXELS}),
}
