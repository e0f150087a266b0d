// Private to hdf5_*.cpp: owning identifiers, HDF5's error text, and what an open file holds.
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

#include "core/hdf5_file.h"

namespace sparsescope::hdf5 {

// Owns an identifier and closes it with the call of its kind.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, H5I_INVALID_HID);
      close_ = other.close_;
    }
    return *this;
  }
  hid_t id() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  // Closes now and hands back the result of doing so.
  herr_t reset() { return id_ >= 0 ? close_(std::exchange(id_, H5I_INVALID_HID)) : 0; }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

// The innermost message of the last failed call, and clears it.
std::string last_error();
// No printing, no plug-in filters loaded from the environment's folders.
void quiet();
// Error(kData) where a heap of texts contradicts itself.
void check_heaps(const std::filesystem::path& path);
// A variable-length UTF-8 string, which every reader takes for text.
Handle text_type();

// How a C++ element type is stored and held in memory.
template <typename T>
struct Element;
template <>
struct Element<float> {
  static constexpr Hdf5Type kType = Hdf5Type::kFloat;
  static hid_t memory() { return H5T_NATIVE_FLOAT; }
};
template <>
struct Element<double> {
  static constexpr Hdf5Type kType = Hdf5Type::kDouble;
  static hid_t memory() { return H5T_NATIVE_DOUBLE; }
};
template <>
struct Element<uint8_t> {
  static constexpr Hdf5Type kType = Hdf5Type::kUint8;
  static hid_t memory() { return H5T_NATIVE_UINT8; }
};
template <>
struct Element<int64_t> {
  static constexpr Hdf5Type kType = Hdf5Type::kInt64;
  static hid_t memory() { return H5T_NATIVE_INT64; }
};

}  // namespace sparsescope::hdf5

namespace sparsescope {

struct Hdf5File::State {
  std::filesystem::path path;
  hdf5::Handle file;
};

}  // namespace sparsescope
