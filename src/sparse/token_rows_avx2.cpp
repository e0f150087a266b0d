#include "sparse/token_rows_body-inl.h"

namespace sparsescope::detail {

const TokenRowKernels kTokenRowsAvx2 = token_row_table<8>();

}  // namespace sparsescope::detail
