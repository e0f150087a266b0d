# SPARSESCOPE_CUDA decides on the CUDA back end; where it is off, kernels/cuda_stub takes its place.
set(SPARSESCOPE_CUDA AUTO CACHE STRING "CUDA back end: AUTO (where nvcc is found), ON, OFF")
# 80 also carries code that newer GPUs compile for themselves. 100a-real and 120a-real may be added.
set(SPARSESCOPE_CUDA_ARCHITECTURES "80;89-real;90a-real" CACHE STRING "GPU architectures to build for")

if(SPARSESCOPE_CUDA)
  # The first one that is new enough: of the environment, of an installed toolkit, of the wheels that
  # scripts/setup.sh --cuda installs.
  file(GLOB wheel_nvcc "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu13/bin/nvcc")
  find_program(installed_nvcc nvcc PATHS /usr/local/cuda/bin NO_CACHE)
  set(nvcc_version 0)
  foreach(nvcc IN ITEMS ${SPARSESCOPE_NVCC} $ENV{CUDACXX} ${installed_nvcc} ${wheel_nvcc})
    execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE nvcc_version ERROR_QUIET)
    string(REGEX REPLACE ".*release ([0-9.]+).*" "\\1" nvcc_version "${nvcc_version}")
    if(nvcc_version VERSION_GREATER_EQUAL 13.0)
      set(SPARSESCOPE_NVCC ${nvcc} CACHE FILEPATH "The CUDA compiler")
      break()
    endif()
  endforeach()
  if(nvcc_version VERSION_GREATER_EQUAL 13.0)
    set(CMAKE_CUDA_COMPILER ${SPARSESCOPE_NVCC})
    set(CMAKE_CUDA_ARCHITECTURES OFF)      # each target names its own
    set(CMAKE_CUDA_STANDARD_REQUIRED OFF)  # CMake 3.25 does not know C++20 for nvcc 13: an option of the targets
    if(CCACHE_PROGRAM)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit 13.0 REQUIRED)
    # CUTLASS is headers alone: scripts/setup.sh installs them into .venv.
    file(GLOB wheel_cutlass
         "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/cutlass_library/source/include")
    find_path(SPARSESCOPE_CUTLASS_DIR cute/arch/mma_sm90_gmma.hpp HINTS ${wheel_cutlass}
              DOC "CUTLASS's include directory")
    if(NOT SPARSESCOPE_CUTLASS_DIR)
      message(FATAL_ERROR "CUTLASS's headers were not found, which the CUDA back end needs: run scripts/setup.sh, "
                          "or set SPARSESCOPE_CUTLASS_DIR to the folder that holds cute/ and cutlass/")
    endif()
  elseif(NOT SPARSESCOPE_CUDA STREQUAL AUTO)
    message(FATAL_ERROR "SPARSESCOPE_CUDA is ${SPARSESCOPE_CUDA}, which needs nvcc 13.0 or newer: install the "
                        "CUDA toolkit 13, or run scripts/setup.sh --cuda")
  endif()
endif()
if(CMAKE_CUDA_COMPILER)
  set(SPARSESCOPE_WITH_CUDA ON)
else()
  set(SPARSESCOPE_WITH_CUDA OFF)
endif()
message(STATUS "CUDA back end: ${SPARSESCOPE_WITH_CUDA}")
