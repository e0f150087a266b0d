#include "checkpoint/shard_index.h"

#include "checkpoint/printable.h"
#include "core/error.h"
#include "core/json_io.h"

namespace sparsescope {
namespace {

// A name that cannot point outside of the index's folder on any system.
bool is_plain_file_name(std::string_view name) {
  const bool has_drive = name.size() >= 2 && name[1] == ':';
  return !name.empty() && name != "." && name.find("..") == std::string_view::npos &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos && !has_drive;
}

}  // namespace

std::map<std::string, std::string> parse_shard_index(std::string_view json,
                                                     const std::string& what) {
  const Json index = parse_json(json, what);
  SPARSESCOPE_CHECK(ErrorKind::kData, index.is_object(), "{}: expected a JSON object, found {}",
                    what, index.type_name());
  const auto weight_map = index.find("weight_map");
  SPARSESCOPE_CHECK(ErrorKind::kData, weight_map != index.end() && weight_map->is_object(),
                    "{}: weight_map: expected an object of strings, found {}", what,
                    weight_map == index.end() ? "none" : weight_map->type_name());
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : weight_map->items()) {
    SPARSESCOPE_CHECK(ErrorKind::kData, shard.is_string(),
                      "{}: weight_map: \"{}\": expected a file name, found {}", what,
                      printable(tensor), shard.type_name());
    const auto& name = shard.get_ref<const std::string&>();
    SPARSESCOPE_CHECK(ErrorKind::kData, is_plain_file_name(name),
                      "{}: weight_map: \"{}\": expected a plain file name, found \"{}\"", what,
                      printable(tensor), printable(name));
    shard_of.emplace(tensor, name);
  }
  return shard_of;
}

}  // namespace sparsescope
