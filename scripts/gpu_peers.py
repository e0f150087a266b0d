"""Times the peers that are reached through Python on the same GPU: FlexAttention with a random block mask of a
density, and scaled_dot_product_attention through cuDNN and flash, forward and backward. Writes JSON.

    python scripts/gpu_peers.py --tokens 49152 --heads 12 --head-dim 128 --density 0.125 --out peers.json
"""

import argparse
import json
import statistics
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask, flex_attention

BLOCK = 64


def milliseconds(body, repeats):
    """The median by device events, after two runs that do not count."""
    times = []
    for number in range(repeats + 2):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        body()
        end.record()
        torch.cuda.synchronize()
        if number >= 2:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def random_block_mask(heads, tokens, density, generator):
    """The same count of key blocks for every query block, as `bench attention` draws its random lists."""
    blocks = tokens // BLOCK
    kept = max(1, round(density * blocks))
    order = torch.rand((1, heads, blocks, blocks), generator=generator, device="cuda").argsort(-1)[..., :kept]
    indices = torch.zeros((1, heads, blocks, blocks), dtype=torch.int32, device="cuda")
    indices[..., :kept] = order.sort(-1).values.to(torch.int32)
    counts = torch.full((1, heads, blocks), kept, dtype=torch.int32, device="cuda")
    # Whole blocks: no element of them is masked.
    return BlockMask.from_kv_blocks(
        torch.zeros_like(counts), torch.zeros_like(indices), counts, indices, BLOCK_SIZE=BLOCK
    ), kept / blocks


def both_passes(forward, tensors, d_out, repeats):
    with torch.no_grad():
        times = {"forward_ms": milliseconds(forward, repeats)}
    out = forward()
    times["backward_ms"] = milliseconds(lambda: torch.autograd.grad(out, tensors, d_out, retain_graph=True), repeats)
    return times


def attempt(body):
    """A peer that this machine cannot run is reported, and does not end the run."""
    try:
        return body()
    except Exception as error:  # noqa: BLE001  whatever a compiler or a driver raises
        return {"error": f"{type(error).__name__}: {str(error)[:300]}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--heads", type=int, required=True)
    parser.add_argument("--head-dim", type=int, required=True)
    parser.add_argument("--density", type=float, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    generator = torch.Generator("cuda").manual_seed(0)
    shape = (1, arguments.heads, arguments.tokens, arguments.head_dim)
    q, k, v, d_out = (
        torch.randn(shape, generator=generator, device="cuda", dtype=torch.bfloat16).requires_grad_(i < 3)
        for i in range(4)
    )
    report = {"format": "sparsescope-gpu-peers", "gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
              "shape": shape, "repeats": arguments.repeats, "runs": {}}
    for name, backend in (("cudnn", SDPBackend.CUDNN_ATTENTION), ("flash", SDPBackend.FLASH_ATTENTION)):
        with sdpa_kernel(backend):
            report["runs"][name] = attempt(lambda: both_passes(
                lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v), (q, k, v), d_out, arguments.repeats))
    mask, density = random_block_mask(arguments.heads, arguments.tokens, arguments.density, generator)
    flex = torch.compile(flex_attention)
    # Its own choice of kernel blocks may not fit a mask of 64: then they are named.
    for options in (None, {"BLOCK_M": BLOCK, "BLOCK_N": BLOCK}):
        run = attempt(lambda: both_passes(
            lambda: flex(q, k, v, block_mask=mask, kernel_options=options), (q, k, v), d_out, arguments.repeats))
        report["runs"]["flex"] = {"density": density, "kernel_options": options} | run
        if "error" not in run:
            break
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1))
    print(json.dumps(report["runs"], indent=1))


if __name__ == "__main__":
    main()
