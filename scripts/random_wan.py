"""Writes a Wan pipeline folder of a published shape with random weights, and text embeddings: for timing, where
no checkpoint can be downloaded. Attention of random weights is nearly flat; times do not depend on it.

    python scripts/random_wan.py --size 1.3B --out FOLDER
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

SHAPES = {
    "1.3B": {"num_layers": 30, "num_attention_heads": 12, "attention_head_dim": 128, "ffn_dim": 8960},
    "14B": {"num_layers": 40, "num_attention_heads": 40, "attention_head_dim": 128, "ffn_dim": 13824},
    "tiny": {"num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 64, "ffn_dim": 256},
}
TEXT_DIM, FREQ_DIM, LATENT_CHANNELS, PATCH = 4096, 256, 16, (1, 2, 2)
FP32_LINEARS = ("time_embedder", "time_proj", "proj_out")


def specs(shape):
    """name -> shape of every tensor outside the blocks, and of one block."""
    width, ffn = shape["num_attention_heads"] * shape["attention_head_dim"], shape["ffn_dim"]

    def linear(name, rows, columns):
        return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}

    def attention(name):
        tensors = {}
        for part in ("to_q", "to_k", "to_v", "to_out.0"):
            tensors |= linear(f"{name}.{part}", width, width)
        return tensors | {f"{name}.norm_q.weight": (width,), f"{name}.norm_k.weight": (width,)}

    embedder = "condition_embedder"
    outer = {
        "patch_embedding.weight": (width, LATENT_CHANNELS, *PATCH),
        "patch_embedding.bias": (width,),
        "scale_shift_table": (1, 2, width),
        **linear("proj_out", LATENT_CHANNELS * 4, width),
        **linear(f"{embedder}.time_embedder.linear_1", width, FREQ_DIM),
        **linear(f"{embedder}.time_embedder.linear_2", width, width),
        **linear(f"{embedder}.time_proj", 6 * width, width),
        **linear(f"{embedder}.text_embedder.linear_1", width, TEXT_DIM),
        **linear(f"{embedder}.text_embedder.linear_2", width, width),
    }
    block = {
        "scale_shift_table": (1, 6, width),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
        **attention("attn1"),
        **attention("attn2"),
        **linear("ffn.net.0.proj", ffn, width),
        **linear("ffn.net.2", width, ffn),
    }
    return outer, block


def random_tensor(name, shape, generator):
    if "norm" in name and name.endswith("weight"):
        return torch.ones(shape)
    scale = shape[-1] ** -0.5 if name.endswith("weight") else 0.02
    values = scale * torch.randn(shape, generator=generator)
    return values if any(part in name for part in FP32_LINEARS) else values.to(torch.bfloat16)


def config_of(shape):
    return {
        "_class_name": "WanTransformer3DModel",
        "cross_attn_norm": True,
        "eps": 1e-6,
        "freq_dim": FREQ_DIM,
        "in_channels": LATENT_CHANNELS,
        "out_channels": LATENT_CHANNELS,
        "patch_size": list(PATCH),
        "qk_norm": "rms_norm_across_heads",
        "rope_max_seq_len": 1024,
        "text_dim": TEXT_DIM,
        **shape,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SHAPES, default="1.3B")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    shape = SHAPES[arguments.size]
    generator = torch.Generator().manual_seed(0)
    outer, block = specs(shape)
    folder = arguments.out / "transformer"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_of(shape), indent=1))

    shards = [{name: random_tensor(name, size, generator) for name, size in outer.items()}]
    one_block = {name: random_tensor(name, size, generator) for name, size in block.items()}
    for layer in range(shape["num_layers"]):
        shards.append({f"blocks.{layer}.{name}": tensor for name, tensor in one_block.items()})
    index = {}
    for number, tensors in enumerate(shards):
        name = f"diffusion_pytorch_model-{number + 1:05}-of-{len(shards):05}.safetensors"
        save_file(tensors, folder / name)
        index |= {tensor: name for tensor in tensors}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index}, indent=1)
    )
    scheduler = arguments.out / "scheduler"
    scheduler.mkdir(exist_ok=True)
    (scheduler / "scheduler_config.json").write_text(
        json.dumps({"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0})
    )
    (arguments.out / "model_index.json").write_text(
        json.dumps(
            {
                "_class_name": "WanPipeline",
                "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
                "transformer": ["diffusers", "WanTransformer3DModel"],
            }
        )
    )
    embeds = torch.randn((1, 512, TEXT_DIM), generator=generator)
    save_file({"prompt_embeds": embeds, "negative_prompt_embeds": torch.zeros_like(embeds)},
              arguments.out / "embeds.safetensors")


if __name__ == "__main__":
    main()
