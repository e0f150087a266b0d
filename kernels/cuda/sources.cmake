# The CUDA back end's sources, for the device build here and for the emulated one in tests/emulator.
set(cuda_host_sources
  check.cpp
  cuda_attention.cpp
  dense_attention.cpp
  dense_dispatch.cpp
  dense_plan.cpp
  device_memory.cpp
  devices.cpp
  head_wave.cpp
  host_masses.cpp
  key_plan.cpp
  mass_buffer.cpp)
set(cuda_kernel_sources
  instantiations/dense_forward_bf16_128.cu
  instantiations/dense_forward_bf16_64.cu
  instantiations/dense_forward_f16_128.cu
  instantiations/dense_forward_f16_64.cu
  pack_rows.cu)
# Kernels that use what only Hopper has (sm_90a): TMA, wgmma.
set(cuda_sm90_sources)
