# Third-party libraries: Debian packages, and LibTorch from the PyPI wheel in .venv.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(CLI11 REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C HL)
if(SPARSESCOPE_TESTS)
  find_package(GTest REQUIRED)
endif()

add_library(sparsescope_hdf5 INTERFACE)
target_include_directories(sparsescope_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(sparsescope_hdf5 INTERFACE ${HDF5_HL_LIBRARIES} ${HDF5_C_LIBRARIES})

# find_package(Torch) of a CUDA-built wheel stops where no CUDA toolkit lies; the CPU part needs
# only torch_cpu and c10, which find their own CUDA runtime stubs through their run path.
file(GLOB SPARSESCOPE_TORCH_FOUND "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
set(SPARSESCOPE_TORCH_DIR "${SPARSESCOPE_TORCH_FOUND}" CACHE PATH "The torch folder of a PyTorch wheel")
if(NOT EXISTS "${SPARSESCOPE_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch not found: run scripts/setup.sh, or set SPARSESCOPE_TORCH_DIR to the "
                      "torch folder of an installed wheel (looked for lib/libtorch_cpu.so in "
                      "'${SPARSESCOPE_TORCH_DIR}')")
endif()
add_library(sparsescope_torch INTERFACE)
# The wheel carries a copy of fmt that its libraries do not export: searched last, so that the
# installed fmt is found first.
target_compile_options(sparsescope_torch INTERFACE
  "SHELL:-idirafter ${SPARSESCOPE_TORCH_DIR}/include"
  "SHELL:-idirafter ${SPARSESCOPE_TORCH_DIR}/include/torch/csrc/api/include")
target_link_libraries(sparsescope_torch INTERFACE
  ${SPARSESCOPE_TORCH_DIR}/lib/libtorch_cpu.so
  ${SPARSESCOPE_TORCH_DIR}/lib/libc10.so)
# The wheel's libraries are found again without an environment variable.
set(CMAKE_BUILD_RPATH ${SPARSESCOPE_TORCH_DIR}/lib)
