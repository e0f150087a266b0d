// The JSON of a safetensors header, read event by event: the schema is checked while it is parsed,
// and no document tree is built.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"

namespace sparsescope {

class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& what) : what_(what) {}

  // Results, in the order of the file.
  std::vector<TensorInfo> tensors;
  std::map<std::string, std::string> metadata;

  bool null() override;
  bool boolean(bool value) override;
  bool number_integer(int64_t value) override;  // the parser calls it for negative numbers only
  bool number_unsigned(uint64_t value) override;
  bool number_float(double value, const std::string& text) override;
  bool string(std::string& value) override;
  bool binary(nlohmann::json::binary_t& value) override;
  bool start_object(size_t elements) override;
  bool key(std::string& name) override;
  bool end_object() override;
  bool start_array(size_t elements) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string& last_token,
                   const nlohmann::json::exception& error) override;

 private:
  // Where the next value stands.
  enum class Place {
    kDocument,       // the whole header
    kEntry,          // value of a name in the outer object
    kMetadata,       // __metadata__ itself
    kMetadataValue,  // a value in it
    kDtype,
    kShape,
    kShapeItem,
    kOffsets,
    kOffsetsItem,
  };

  std::string place_text() const;
  [[noreturn]] void fail_unexpected(std::string_view found) const;
  void take_entry_name(std::string& name);
  void take_field_name(const std::string& name);
  void check_entry() const;
  void check_room_for(const TensorInfo& tensor);

  const std::string& what_;
  Place place_ = Place::kDocument;
  bool in_tensor_ = false, in_metadata_ = false, has_metadata_ = false;
  std::string metadata_key_;
  TensorInfo tensor_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  std::vector<uint64_t> offsets_;
  uint64_t claimed_bytes_ = 0;  // sum of the tensors' bytes
  uint64_t largest_end_ = 0;
  // Extents as written: an empty tensor may have one that TensorInfo::shape cannot hold.
  std::vector<uint64_t> extents_;
};

}  // namespace sparsescope
