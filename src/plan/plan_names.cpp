#include "plan/plan_names.h"

#include "core/error.h"

namespace sparsescope {

void check_format(const JsonPlace& root, std::string_view format, int64_t version,
                  std::string_view noun) {
  const JsonPlace found = root.at("format");
  if (found.text() != format) found.fail_expected(fmt::format("\"{}\"", format));
  const int64_t found_version = root.at("version").integer(0, INT64_MAX);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, found_version == version,
                    "{}: {} version {} is not supported here (version {} is)", root.what(), noun,
                    found_version, version);
}

Method read_method(const JsonPlace& place) {
  const std::string name = place.text();
  for (const Method method : {Method::kDense, Method::kBsa, Method::kVsa, Method::kVmoba}) {
    if (name == to_string(method)) return method;
  }
  fail(ErrorKind::kUnsupported,
       "{}: /method: \"{}\" is not supported here (dense, bsa, vsa, vmoba are)", place.what(),
       name);
}

VmobaPool read_pool(const JsonPlace& place) {
  const std::string name = place.text();
  for (const VmobaPool pool :
       {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock, VmobaPool::kOverall}) {
    if (name == to_string(pool)) return pool;
  }
  place.fail_expected("one of query_head, head_global, block, overall");
}

VmobaSelect read_select(const JsonPlace& place) {
  const std::string name = place.text();
  for (const VmobaSelect select : {VmobaSelect::kTopK, VmobaSelect::kThreshold}) {
    if (name == to_string(select)) return select;
  }
  place.fail_expected("topk or threshold");
}

Partition read_fitting_partition(const JsonPlace& place, const TokenGrid& grid) {
  try {
    Partition partition = parse_partition(place.text());
    partition_blocks(partition, grid);
    return partition;
  } catch (const Error& error) {
    place.fail_expected(
        fmt::format("a partition that fits the grid {} ({})", to_string(grid), error.what()));
  }
}

}  // namespace sparsescope
