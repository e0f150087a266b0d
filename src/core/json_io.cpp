#include "core/json_io.h"

#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxBrief = 60;  // characters

// nlohmann keeps the last of two equal keys in silence: refuse them while parsing.
class StrictKeys {
 public:
  explicit StrictKeys(const std::string& what) : what_(what) {}

  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    SPARSESCOPE_CHECK(ErrorKind::kData, depth <= kMaxDepth, "{}: JSON is nested deeper than {} levels",
                      what_, kMaxDepth);
    if (event == Event::object_start) {
      keys_.emplace_back();
    } else if (event == Event::object_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      SPARSESCOPE_CHECK(ErrorKind::kData, keys_.back().insert(key).second,
                        "{}: the key \"{}\" stands twice in one JSON object", what_, key);
    }
    return true;
  }

 private:
  const std::string& what_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& what) {
  // nlohmann takes a NUL for the end of its input, and would ignore what follows.
  const size_t nul = text.find('\0');
  SPARSESCOPE_CHECK(ErrorKind::kData, nul == std::string_view::npos,
                    "{}: not valid JSON: byte {} is NUL", what, nul);
  try {
    StrictKeys strict(what);
    return Json::parse(text, std::ref(strict));
  } catch (const Json::exception& error) {
    fail(ErrorKind::kData, "{}: not valid JSON: {}", what, error.what());
  }
}

std::string brief(const Json& value) {
  const std::string text = value.dump();
  return text.size() > kMaxBrief ? text.substr(0, kMaxBrief) + "..." : text;
}

Json read_json_file(const std::filesystem::path& path, int64_t max_bytes) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  SPARSESCOPE_CHECK(ErrorKind::kData, !error, "{}: cannot be read: {}", path.string(), error.message());
  SPARSESCOPE_CHECK(ErrorKind::kData, size <= static_cast<uintmax_t>(max_bytes),
                    "{}: expected at most {} bytes of JSON, found {}", path.string(), max_bytes, size);
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  SPARSESCOPE_CHECK(ErrorKind::kData, file.good() || file.eof(), "{}: cannot be read", path.string());
  return parse_json(text.str(), path.string());
}

}  // namespace sparsescope
