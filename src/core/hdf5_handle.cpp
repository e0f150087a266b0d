#include "core/hdf5_handle.h"

namespace sparsescope::hdf5 {
namespace {

// The walk goes outwards in; the last entry seen says what really happened.
herr_t keep_last(unsigned, const H5E_error2_t* entry, void* text) {
  if (entry->desc != nullptr && entry->desc[0] != '\0') {
    *static_cast<std::string*>(text) = entry->desc;
  }
  return 0;
}

}  // namespace

std::string last_error() {
  std::string text = "no further message";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_last, &text);
  H5Eclear2(H5E_DEFAULT);
  return text;
}

void quiet() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  H5PLset_loading_state(0);
}

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

}  // namespace sparsescope::hdf5
