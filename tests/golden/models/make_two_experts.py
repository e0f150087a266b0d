"""Trajectories of diffusers' WanPipeline with two tiny transformers of random weights.

make_two_experts.py OUT: writes OUT/<case>.safetensors. Needs torch, diffusers and safetensors; the
files here are of diffusers 0.38.0 and torch 2.11.0 on a CPU. Weights and inputs follow the fill rule
of tests/unit/model/model_test_support.h, the low-noise expert's under "low." + name, so that no
weights are stored.
"""

import pathlib
import sys

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from safetensors.torch import save_file

MASK = (1 << 64) - 1
LATENTS = [1, 4, 2, 4, 6]

# 8 steps at shift 5 lie at 999, 972, 937, 893, 833, 750, 625, 418: 0.75 meets one of them.
CASES = {
    "own_guidance": dict(steps=8, shift=5.0, boundary_ratio=0.875, guidance=4.0, guidance_2=3.0),
    "at_equality": dict(steps=8, shift=5.0, boundary_ratio=0.75, guidance=2.5, guidance_2=None),
    "low_without_guidance": dict(steps=4, shift=3.0, boundary_ratio=0.9, guidance=3.0, guidance_2=1.0),
    "conditional_alone": dict(steps=4, shift=3.0, boundary_ratio=0.9, guidance=1.0, guidance_2=None),
}


def fill(name, shape, scale, offset):
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & MASK
    values = []
    for i in range(int(torch.tensor(shape).prod())):
        z = (state + (i + 1) * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        values.append((2.0 * ((z >> 40) / 16777216.0) - 1.0) * scale + offset)
    return torch.tensor(values, dtype=torch.float64).to(torch.float32).reshape(shape)


def filled_input(key, shape):
    return fill("input." + key, shape, 1.0, 0.0)


def make_transformer(prefix):
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=4,
        out_channels=4, text_dim=16, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True,
        eps=1e-6, rope_max_seq_len=32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            vector = parameter.dim() == 1
            offset = 1.0 if vector and name.endswith(".weight") else 0.0
            parameter.copy_(fill(prefix + name, list(parameter.shape), 0.25 if vector else 0.5, offset))
    return model.eval()


def run(case, experts):
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000,
        flow_shift=case["shift"])
    pipeline = WanPipeline(
        tokenizer=None, text_encoder=None, vae=None, scheduler=scheduler, transformer=experts[0],
        transformer_2=experts[1], boundary_ratio=case["boundary_ratio"])
    calls = []
    hooks = [expert.register_forward_hook(lambda *_, index=i: calls.append(index))
             for i, expert in enumerate(experts)]
    latents, seen = [], []

    def after_step(_, index, timestep, values):
        latents.append(values["latents"].clone())
        seen.append(int(timestep))
        return values

    with torch.no_grad():
        pipeline(
            prompt=None, prompt_embeds=filled_input("prompt_embeds", [1, 5, 16]),
            negative_prompt_embeds=filled_input("negative_prompt_embeds", [1, 5, 16]),
            height=LATENTS[3] * 8, width=LATENTS[4] * 8, num_frames=(LATENTS[2] - 1) * 4 + 1,
            num_inference_steps=case["steps"], guidance_scale=case["guidance"],
            guidance_scale_2=case["guidance_2"], latents=filled_input("latents", LATENTS),
            output_type="latent", callback_on_step_end=after_step,
            callback_on_step_end_tensor_inputs=["latents"])
    for hook in hooks:
        hook.remove()
    return {"latents": torch.stack(latents).squeeze(1).contiguous(),  # [steps, C, F, Hl, Wl]
            "timesteps": torch.tensor(seen, dtype=torch.int64),
            "calls": torch.tensor(calls, dtype=torch.int64)}  # which expert, call by call


def main():
    out = pathlib.Path(sys.argv[1])
    experts = [make_transformer(""), make_transformer("low.")]
    for name, case in CASES.items():
        save_file(run(case, experts), out / f"{name}.safetensors")


main()
