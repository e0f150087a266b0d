#include "checkpoint/header_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "checkpoint/printable.h"
#include "checkpoint/safetensors_header.h"
#include "core/error.h"
#include "core/tensor_view.h"

namespace sparsescope {
namespace {

constexpr std::string_view kMetadataName = "__metadata__";

// product(shape) * factor, from left to right: a leading 0 makes any later extent legal.
bool checked_product(const std::vector<uint64_t>& shape, uint64_t factor, uint64_t& product) {
  product = 1;
  for (const uint64_t extent : shape) {
    if (__builtin_mul_overflow(product, extent, &product)) return false;
  }
  return !__builtin_mul_overflow(product, factor, &product);
}

}  // namespace

std::string HeaderReader::place_text() const {
  switch (place_) {
    case Place::kDocument:
      return "header: expected a JSON object";
    case Place::kEntry:
      return fmt::format("tensor \"{}\": expected an object with dtype, shape and data_offsets",
                         printable(tensor_.name));
    case Place::kMetadata:
      return "__metadata__: expected an object of strings";
    case Place::kMetadataValue:
      return fmt::format("__metadata__: \"{}\": expected a string", printable(metadata_key_));
    case Place::kDtype:
      return fmt::format("tensor \"{}\": dtype: expected a string", printable(tensor_.name));
    case Place::kShape:
    case Place::kShapeItem:
      return fmt::format(
          "tensor \"{}\": shape: expected a list of whole numbers from 0 to 2^64 - 1",
          printable(tensor_.name));
    case Place::kOffsets:
    case Place::kOffsetsItem:
      return fmt::format(
          "tensor \"{}\": data_offsets: expected two whole numbers from 0 to 2^64 - 1",
          printable(tensor_.name));
  }
  fail(ErrorKind::kInternal, "a safetensors header has no such place");
}

void HeaderReader::fail_unexpected(std::string_view found) const {
  fail(ErrorKind::kData, "{}: {}, found {}", what_, place_text(), found);
}

bool HeaderReader::null() { fail_unexpected("null"); }
bool HeaderReader::boolean(bool value) { fail_unexpected(value ? "true" : "false"); }
bool HeaderReader::number_integer(int64_t value) { fail_unexpected(fmt::format("{}", value)); }
bool HeaderReader::number_float(double, const std::string& text) {
  fail_unexpected(printable(text));
}
bool HeaderReader::binary(nlohmann::json::binary_t&) { fail_unexpected("binary data"); }

bool HeaderReader::number_unsigned(uint64_t value) {
  if (place_ == Place::kShapeItem) {
    SPARSESCOPE_CHECK(ErrorKind::kData, extents_.size() < kMaxRank,
                      "{}: tensor \"{}\": shape: expected at most {} axes, found more", what_,
                      printable(tensor_.name), kMaxRank);
    extents_.push_back(value);
  } else if (place_ == Place::kOffsetsItem && offsets_.size() < 2) {
    offsets_.push_back(value);
  } else {
    fail_unexpected(place_ == Place::kOffsetsItem ? "more" : fmt::format("{}", value));
  }
  return true;
}

bool HeaderReader::string(std::string& value) {
  if (place_ == Place::kMetadataValue) {
    const bool is_new = metadata.emplace(metadata_key_, std::move(value)).second;
    SPARSESCOPE_CHECK(ErrorKind::kData, is_new, "{}: __metadata__: the key \"{}\" stands twice",
                      what_, printable(metadata_key_));
  } else if (place_ == Place::kDtype) {
    tensor_.dtype_text = std::move(value);
  } else {
    fail_unexpected(fmt::format("the string \"{}\"", printable(value)));
  }
  return true;
}

bool HeaderReader::start_object(size_t) {
  if (place_ == Place::kMetadata) {
    in_metadata_ = true;
  } else if (place_ == Place::kEntry) {
    in_tensor_ = true;
  } else if (place_ != Place::kDocument) {
    fail_unexpected("an object");
  }
  return true;
}

bool HeaderReader::key(std::string& name) {
  if (in_tensor_) {
    take_field_name(name);
  } else if (in_metadata_) {
    metadata_key_ = std::move(name);
    place_ = Place::kMetadataValue;
  } else {
    take_entry_name(name);
  }
  return true;
}

void HeaderReader::take_entry_name(std::string& name) {
  if (name == kMetadataName) {
    SPARSESCOPE_CHECK(ErrorKind::kData, !std::exchange(has_metadata_, true),
                      "{}: __metadata__ stands twice", what_);
    place_ = Place::kMetadata;
    return;
  }
  tensor_ = TensorInfo{.name = std::move(name)};
  has_dtype_ = has_shape_ = has_offsets_ = false;
  extents_.clear();
  offsets_.clear();
  place_ = Place::kEntry;
}

void HeaderReader::take_field_name(const std::string& name) {
  bool* seen = nullptr;
  if (name == "dtype") {
    seen = &has_dtype_;
    place_ = Place::kDtype;
  } else if (name == "shape") {
    seen = &has_shape_;
    place_ = Place::kShape;
  } else if (name == "data_offsets") {
    seen = &has_offsets_;
    place_ = Place::kOffsets;
  }
  // A field of a later version of the format could change what the others mean.
  SPARSESCOPE_CHECK(
      ErrorKind::kData, seen != nullptr,
      "{}: tensor \"{}\": expected dtype, shape and data_offsets, found the field \"{}\"", what_,
      printable(tensor_.name), printable(name));
  SPARSESCOPE_CHECK(ErrorKind::kData, !std::exchange(*seen, true),
                    "{}: tensor \"{}\": {} stands twice", what_, printable(tensor_.name), name);
}

bool HeaderReader::end_object() {
  if (in_tensor_) {
    check_entry();
    tensor_.dtype = dtype_from_file_name(tensor_.dtype_text);
    for (const uint64_t extent : extents_) {
      constexpr auto kLargest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      tensor_.shape.push_back(static_cast<int64_t>(std::min(extent, kLargest)));
    }
    tensor_.begin = offsets_[0];
    tensor_.end = offsets_[1];
    check_room_for(tensor_);
    tensors.push_back(std::move(tensor_));
  }
  in_tensor_ = in_metadata_ = false;
  return true;
}

bool HeaderReader::start_array(size_t) {
  if (place_ == Place::kShape) {
    place_ = Place::kShapeItem;
  } else if (place_ == Place::kOffsets) {
    place_ = Place::kOffsetsItem;
  } else {
    fail_unexpected("a list");
  }
  return true;
}

bool HeaderReader::end_array() {
  if (place_ == Place::kOffsetsItem && offsets_.size() != 2) {
    fail_unexpected(fmt::format("{} of them", offsets_.size()));
  }
  return true;
}

bool HeaderReader::parse_error(size_t position, const std::string&,
                               const nlohmann::json::exception& error) {
  fail(ErrorKind::kData, "{}: header byte {}: expected valid JSON in UTF-8, found: {}", what_,
       position, error.what());
}

// The fields of a tensor are there and agree with each other.
void HeaderReader::check_entry() const {
  const std::string name = printable(tensor_.name);
  for (const auto& [present, field] :
       {std::pair{has_dtype_, "dtype"}, {has_shape_, "shape"}, {has_offsets_, "data_offsets"}}) {
    SPARSESCOPE_CHECK(ErrorKind::kData, present, "{}: tensor \"{}\": {} is missing", what_, name,
                      field);
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, offsets_[0] <= offsets_[1],
                    "{}: tensor \"{}\": data_offsets: expected begin <= end, found [{}, {}]", what_,
                    name, offsets_[0], offsets_[1]);
  const std::optional<Dtype> dtype = dtype_from_file_name(tensor_.dtype_text);
  uint64_t bits = 0;
  // The width of an unknown type is unknown, but its elements have at least one bit.
  const bool fits = checked_product(extents_, dtype ? dtype_bits(*dtype) : 1, bits);
  SPARSESCOPE_CHECK(ErrorKind::kData, fits,
                    "{}: tensor \"{}\": a shape of [{}] has more bytes than a file can hold", what_,
                    name, fmt::join(extents_, ", "));
  if (!dtype) return;
  const uint64_t stored = offsets_[1] - offsets_[0];
  SPARSESCOPE_CHECK(ErrorKind::kData, bits % 8 == 0,
                    "{}: tensor \"{}\": expected whole bytes, found {} bits ({} [{}])", what_, name,
                    bits, tensor_.dtype_text, fmt::join(extents_, ", "));
  SPARSESCOPE_CHECK(
      ErrorKind::kData, bits / 8 == stored,
      "{}: tensor \"{}\": expected {} bytes ({} [{}]), found {} (data_offsets [{}, {}])", what_,
      name, bits / 8, tensor_.dtype_text, fmt::join(extents_, ", "), stored, offsets_[0],
      offsets_[1]);
}

// Disjoint ranges never have more bytes than their largest end. Checked here, a header of millions
// of aliases is refused at its second one, before it costs memory.
void HeaderReader::check_room_for(const TensorInfo& tensor) {
  largest_end_ = std::max(largest_end_, tensor.end);
  const bool wraps = __builtin_add_overflow(claimed_bytes_, tensor.bytes(), &claimed_bytes_);
  SPARSESCOPE_CHECK(ErrorKind::kData, !wraps && claimed_bytes_ <= largest_end_,
                    "{}: tensor \"{}\": data_offsets [{}, {}] overlap those of another tensor",
                    what_, printable(tensor.name), tensor.begin, tensor.end);
}

}  // namespace sparsescope
