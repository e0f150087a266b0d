#include "sparse/block_plan_file.h"

#include <fmt/format.h>

#include "checkpoint/safetensors.h"
#include "core/error.h"

namespace sparsescope {
namespace {

constexpr const char* kFormat = "sparsescope-block-plan";
constexpr const char* kVersion = "1";

using Words = std::vector<int32_t>;

Words words_of(const std::vector<KeyRange>& ranges) {
  Words words;
  for (const KeyRange& range : ranges) words.insert(words.end(), {range.first, range.count});
  return words;
}

Words words_of(const std::vector<SparseItem>& items) {
  Words words;
  for (const SparseItem& item : items) {
    words.insert(words.end(), {item.first_row, item.num_rows, item.first_range, item.num_ranges});
  }
  return words;
}

Words words_of(const std::vector<SparseStrand>& strands) {
  Words words;
  for (const SparseStrand& strand : strands) {
    words.insert(words.end(), {strand.batch, strand.head, strand.first_item, strand.num_items,
                               strand.merges ? 1 : 0});
  }
  return words;
}

Json describe(const BlockPlan& plan) {
  return {{"method", to_string(plan.method)},
          {"grid", {plan.grid.t, plan.grid.h, plan.grid.w}},
          {"block", {plan.block.t, plan.block.h, plan.block.w}},
          {"prefix", plan.prefix},
          {"suffix", plan.suffix},
          {"batch", plan.batch},
          {"heads", plan.heads}};
}

// The description of one file, field by field.
class Description {
 public:
  Description(const Json& json, std::string what) : json_(json), what_(std::move(what)) {
    SPARSESCOPE_CHECK(ErrorKind::kData, json_.is_object(), "{}: expected an object", what_);
  }

  int64_t number(const char* name, int64_t least) const { return number(field(name), name, least); }

  std::vector<int64_t> triple(const char* name) const {
    const Json& value = field(name);
    SPARSESCOPE_CHECK(ErrorKind::kData, value.is_array() && value.size() == 3,
                      "{}: {}: expected three numbers", what_, name);
    return {number(value[0], name, 1), number(value[1], name, 1), number(value[2], name, 1)};
  }

  Method method() const {
    const Json& value = field("method");
    for (const Method method : {Method::kVsa, Method::kBsa, Method::kVmoba}) {
      if (value == to_string(method)) return method;
    }
    fail(ErrorKind::kData, "{}: method: expected vsa, bsa or vmoba, found {}", what_, value.dump());
  }

 private:
  const Json& field(const char* name) const {
    const auto found = json_.find(name);
    SPARSESCOPE_CHECK(ErrorKind::kData, found != json_.end(), "{}: expected the key '{}'", what_,
                      name);
    return *found;
  }

  int64_t number(const Json& value, const char* name, int64_t least) const {
    SPARSESCOPE_CHECK(ErrorKind::kData,
                      value.is_number_integer() &&
                          value.get<double>() >= static_cast<double>(least) &&
                          value.get<double>() <= static_cast<double>(kMaxExtent),
                      "{}: {}: expected a whole number in {}..{}, found {}", what_, name, least,
                      kMaxExtent, value.dump());
    return value.get<int64_t>();
  }

  const Json& json_;
  std::string what_;
};

const std::string& metadata(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  SPARSESCOPE_CHECK(ErrorKind::kData, found != file.metadata().end(),
                    "{}: expected a block plan, found no '{}' in the metadata",
                    file.path().string(), key);
  return found->second;
}

// Tensor [.., width] as rows of int32.
Words read_words(const SafetensorsFile& file, const std::string& name, int64_t width) {
  const StoredTensor tensor = file.fetch(name);
  const bool fits = width == 1 ? tensor.shape.size() == 1 || tensor.shape.size() == 3
                               : tensor.shape.size() == 2 && tensor.shape[1] == width;
  SPARSESCOPE_CHECK(ErrorKind::kData, tensor.dtype == Dtype::kI32 && fits,
                    "{}: {}: expected i32 {}, found {} {}", file.path().string(), name,
                    width == 1 ? "numbers" : fmt::format("[.., {}]", width),
                    dtype_name(tensor.dtype), shape_to_string(tensor.shape));
  const std::vector<int64_t> values = to_int64(tensor, name);
  return {values.begin(), values.end()};
}

BlockLists read_lists(const SafetensorsFile& file, bool restored) {
  BlockLists lists;
  lists.key_order = read_words(file, "key_order", 1);
  lists.rows = read_words(file, "rows", 1);
  lists.range_ids = read_words(file, "range_ids", 1);
  const Words ranges = read_words(file, "ranges", 2);
  for (size_t i = 0; i < ranges.size(); i += 2) lists.ranges.push_back({ranges[i], ranges[i + 1]});
  const Words items = read_words(file, "items", 4);
  for (size_t i = 0; i < items.size(); i += 4) {
    lists.items.push_back({items[i], items[i + 1], items[i + 2], items[i + 3]});
  }
  const Words strands = read_words(file, "strands", 5);
  for (size_t i = 0; i < strands.size(); i += 5) {
    SPARSESCOPE_CHECK(ErrorKind::kData, strands[i + 4] == 0 || strands[i + 4] == 1,
                      "{}: strands[{}]: merges: expected 0 or 1, found {}", file.path().string(),
                      i / 5, strands[i + 4]);
    lists.strands.push_back(
        {strands[i], strands[i + 1], strands[i + 2], strands[i + 3], strands[i + 4] == 1});
  }
  if (restored) lists.restore_from = read_words(file, "restore_from", 1);
  return lists;
}

}  // namespace

void write_block_plan(const std::filesystem::path& path, const BlockPlan& plan, bool replace) {
  const BlockLists& lists = plan.lists;
  const Words ranges = words_of(lists.ranges), items = words_of(lists.items),
              strands = words_of(lists.strands);
  std::vector<TensorToWrite> tensors;
  const auto add = [&](const char* name, const Words& words, std::vector<int64_t> shape) {
    tensors.push_back({name, Dtype::kI32, std::move(shape), bytes_of(words)});
  };
  add("key_order", lists.key_order, {std::ssize(lists.key_order)});
  add("ranges", ranges, {std::ssize(lists.ranges), 2});
  add("rows", lists.rows, {std::ssize(lists.rows)});
  add("range_ids", lists.range_ids, {std::ssize(lists.range_ids)});
  add("items", items, {std::ssize(lists.items), 4});
  add("strands", strands, {std::ssize(lists.strands), 5});
  if (plan.method == Method::kBsa) {
    add("restore_from", lists.restore_from, {plan.batch, plan.heads, plan.grid.tokens()});
  }
  write_safetensors(path, std::move(tensors),
                    {{"format", kFormat}, {"version", kVersion}, {"plan", describe(plan).dump()}},
                    replace);
}

BlockPlan read_block_plan(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  SPARSESCOPE_CHECK(ErrorKind::kData, metadata(file, "format") == kFormat,
                    "{}: expected a block plan, found another format", path.string());
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, metadata(file, "version") == kVersion,
                    "{}: expected version {} of the block plan, found another", path.string(),
                    kVersion);
  const std::string what = path.string() + ": metadata 'plan'";
  const Json json = parse_json(metadata(file, "plan"), what);
  const Description description(json, what);
  const std::vector<int64_t> grid = description.triple("grid"), block = description.triple("block");
  BlockPlan plan{.method = description.method(),
                 .grid = {grid[0], grid[1], grid[2]},
                 .block = {block[0], block[1], block[2]},
                 .prefix = description.number("prefix", 0),
                 .suffix = description.number("suffix", 0),
                 .batch = description.number("batch", 1),
                 .heads = description.number("heads", 1)};
  plan.lists = read_lists(file, plan.method == Method::kBsa);
  check_block_plan(plan, path.string());
  return plan;
}

}  // namespace sparsescope
