#include "sparse/token_rows_body-inl.h"

namespace sparsescope::detail {

const TokenRowKernels kTokenRowsBase = token_row_table<4>();

}  // namespace sparsescope::detail
