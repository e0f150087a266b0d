#include "sparse/token_rows_body-inl.h"

namespace sparsescope::detail {

const TokenRowKernels kTokenRowsAvx512 = token_row_table<16>();

}  // namespace sparsescope::detail
