// What every function of the back end does where it was not built.
#pragma once

namespace sparsescope::cuda {

[[noreturn]] void fail_not_compiled();

}  // namespace sparsescope::cuda
