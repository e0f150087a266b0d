# The row statistics: one body compiled for each instruction set. -ffp-contract=fast lets a product
# and a sum become one rounding; nothing else is relaxed.
target_sources(sparsescope_kernels PRIVATE
  cpu/row_stats.cpp
  cpu/row_stats_avx2.cpp
  cpu/row_stats_avx512.cpp
  cpu/row_stats_base.cpp
  reference/row_stats.cpp)
set(row_stats_flags -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast)
set_source_files_properties(cpu/row_stats_base.cpp PROPERTIES COMPILE_OPTIONS "${row_stats_flags}")
set_source_files_properties(cpu/row_stats_avx2.cpp PROPERTIES
  COMPILE_OPTIONS "${row_stats_flags};-mavx2;-mfma")
set_source_files_properties(cpu/row_stats_avx512.cpp PROPERTIES
  COMPILE_OPTIONS "${row_stats_flags};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mprefer-vector-width=512")
