#include "export/vmoba_config.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr std::string_view kCopy = "moba_config";        // SGLang reads this one
constexpr std::string_view kProvenance = "sparsescope";  // both ignore it

Json whole_or_real(double value) {
  return value == std::floor(value) ? Json(static_cast<int64_t>(value)) : Json(value);
}

int64_t optional_integer(const JsonPlace& place, std::string_view key, int64_t low,
                         int64_t otherwise) {
  const std::optional<JsonPlace> found = place.find(key);
  return found ? found->integer(low, kMaxExtent) : otherwise;
}

VmobaPool read_pool(const JsonPlace& place) {
  for (const VmobaPool pool :
       {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock, VmobaPool::kOverall}) {
    if (place.text() == to_string(pool)) return pool;
  }
  place.fail_expected("one of query_head, head_global, block, overall");
}

// Extents t, h, w of a chunk; the spatial one spans all frames and gives h and w alone.
TileShape read_chunk(const JsonPlace& place, size_t axes) {
  const std::vector<JsonPlace> items = place.items(axes);
  const auto extent = [&](size_t from_last) {
    return items[axes - 1 - from_last].integer(1, kMaxExtent);
  };
  return {axes == 3 ? extent(2) : 0, extent(1), extent(0)};
}

VmobaConfig read_keys(const JsonPlace& place) {
  VmobaConfig config;
  config.temporal_chunk =
      place.at("temporal_chunk_size").number(0, static_cast<double>(kMaxExtent));
  if (config.temporal_chunk == 0) place.at("temporal_chunk_size").fail_expected("more than 0");
  config.temporal_topk = place.at("temporal_topk").integer(1, kMaxExtent);
  config.spatial_chunk = read_chunk(place.at("spatial_chunk_size"), 2);
  config.spatial_topk = place.at("spatial_topk").integer(1, kMaxExtent);
  config.st_chunk = read_chunk(place.at("st_chunk_size"), 3);
  config.st_topk = place.at("st_topk").integer(1, kMaxExtent);
  if (const auto mode = place.find("moba_select_mode")) {
    if (mode->text() != "topk" && mode->text() != "threshold") {
      mode->fail_expected("topk or threshold");
    }
    config.select = mode->text() == "topk" ? VmobaSelect::kTopK : VmobaSelect::kThreshold;
  }
  if (const auto tau = place.find("moba_threshold")) config.threshold = tau->number(0, 1);
  if (const auto pool = place.find("moba_threshold_type")) {
    config.pool = read_pool(*pool);
    if (config.select == VmobaSelect::kTopK && config.pool == VmobaPool::kBlock) {
      pool->fail_expected("query_head, head_global or overall with topk");
    }
  }
  config.schedule.first_full_layer = optional_integer(place, "first_full_layer", 0, 0);
  config.first_full_step = optional_integer(place, "first_full_step", 0, config.first_full_step);
  config.schedule.temporal_layers = optional_integer(place, "temporal_layer", 0, 1);
  config.schedule.spatial_layers = optional_integer(place, "spatial_layer", 0, 1);
  config.schedule.st_layers = optional_integer(place, "st_layer", 0, 1);
  if (config.schedule.temporal_layers + config.schedule.spatial_layers +
          config.schedule.st_layers ==
      0) {
    place.at("st_layer").fail_expected("at least one layer of some kind in a cycle");
  }
  return config;
}

void check_known_keys(const Json& object, const Json& known, const std::string& what) {
  for (const auto& [key, value] : object.items()) {
    SPARSESCOPE_CHECK(ErrorKind::kData, known.contains(key) || key == kCopy || key == kProvenance,
                      "{}: /{}: expected one of the keys of a VMoBA configuration", what, key);
  }
}

}  // namespace

Partition VmobaConfig::partition(PartitionKind kind) const {
  if (kind == PartitionKind::kSpatial) return {kind, spatial_chunk};
  if (kind == PartitionKind::kSpatioTemporal) return {kind, st_chunk};
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, temporal_chunk == std::floor(temporal_chunk),
                    "temporal_chunk_size {}: fractions of a frame are not supported here; whole "
                    "frames are",
                    temporal_chunk);
  return {kind, {static_cast<int64_t>(temporal_chunk), 0, 0}};
}

int64_t VmobaConfig::topk(PartitionKind kind) const {
  return kind == PartitionKind::kTemporal  ? temporal_topk
         : kind == PartitionKind::kSpatial ? spatial_topk
                                           : st_topk;
}

VmobaParams VmobaConfig::params(int64_t layer, const TokenGrid& grid) const {
  const PartitionKind kind = partition_kind(schedule, layer);
  VmobaParams params{.partition = partition(kind), .select = select, .pool = pool};
  const int64_t blocks = partition_blocks(params.partition, grid).num_tiles();
  if (select == VmobaSelect::kTopK) {
    params.top_k = std::min(topk(kind), blocks);
  } else {
    params.threshold = threshold;
  }
  return params;
}

Json vmoba_config_to_json(const VmobaConfig& config) {
  return {{"temporal_chunk_size", whole_or_real(config.temporal_chunk)},
          {"temporal_topk", config.temporal_topk},
          {"spatial_chunk_size", {config.spatial_chunk.h, config.spatial_chunk.w}},
          {"spatial_topk", config.spatial_topk},
          {"st_chunk_size", {config.st_chunk.t, config.st_chunk.h, config.st_chunk.w}},
          {"st_topk", config.st_topk},
          {"moba_select_mode", to_string(config.select)},
          {"moba_threshold", config.threshold},
          {"moba_threshold_type", to_string(config.pool)},
          {"first_full_layer", config.schedule.first_full_layer},
          {"first_full_step", config.first_full_step},
          {"temporal_layer", config.schedule.temporal_layers},
          {"spatial_layer", config.schedule.spatial_layers},
          {"st_layer", config.schedule.st_layers}};
}

VmobaConfig parse_vmoba_config(const Json& json, const std::string& what) {
  const JsonPlace root(json, what);
  const std::optional<JsonPlace> copy = root.find(kCopy);
  const Json known = vmoba_config_to_json({});
  check_known_keys(json, known, what);
  if (copy) check_known_keys(copy->value(), known, what + ": /moba_config");
  if (copy && !root.find("temporal_chunk_size")) return read_keys(*copy);
  const VmobaConfig config = read_keys(root);
  if (copy && vmoba_config_to_json(read_keys(*copy)) != vmoba_config_to_json(config)) {
    copy->fail_expected("the values of the top level");
  }
  return config;
}

}  // namespace sparsescope
