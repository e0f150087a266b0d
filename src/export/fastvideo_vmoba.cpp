// fastvideo-vmoba, sglang-vmoba: one JSON that both load, FastVideo its top level and SGLang the
// copy under moba_config. It holds one set of sizes per kind of partition, one mode, one pool, one
// tau, one cycle of kinds; nothing per head or step, and no dense layers.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "export/draft_file.h"
#include "export/provenance.h"
#include "export/site_values.h"
#include "export/vmoba_config.h"
#include "export/vmoba_cycle.h"

namespace sparsescope {
namespace {

constexpr PartitionKind kKinds[] = {PartitionKind::kTemporal, PartitionKind::kSpatial,
                                    PartitionKind::kSpatioTemporal};

template <typename... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorKind::kUsage, "fastvideo-vmoba: cannot hold the plan, nor one near it: {}",
       fmt::format(format, std::forward<Args>(args)...));
}

// A plan's sites as this format asks for them. Steps of the dense prefix are left out: the file
// names them apart.
class VmobaSites {
 public:
  explicit VmobaSites(const Plan& plan)
      : plan_(plan), sites_(plan), first_step_(sites_.dense_prefix()) {
    if (first_step_ == plan.num_steps) refuse("no site of it is sparse");
  }

  int64_t first_sparse_step() const { return first_step_; }

  template <typename Visit>
  void for_each(Visit visit) const {  // visit(step, layer, head, params or nullptr)
    for (int64_t step = first_step_; step < plan_.num_steps; ++step) {
      for (int64_t layer = 0; layer < plan_.model.layers; ++layer) {
        for (int64_t head = 0; head < plan_.model.heads; ++head) {
          const MethodParams* params = sites_.at(step, layer, head);
          visit(step, layer, head, params ? &std::get<VmobaParams>(*params) : nullptr);
        }
      }
    }
  }

  const VmobaParams& any() const {
    const VmobaParams* found = nullptr;
    for_each([&](int64_t, int64_t, int64_t, const VmobaParams* params) {
      if (!found) found = params;
    });
    return *found;
  }

  // A number of every site in the given layers; dense stands where the site is dense.
  template <typename Number>
  SiteValues values(const std::string& label, double dense, const std::vector<bool>& layers,
                    Number number) const {
    SiteValues result{.steps = plan_.num_steps,
                      .layers = plan_.model.layers,
                      .heads = plan_.model.heads,
                      .label = label,
                      .dense = dense,
                      .values = {}};
    result.values.assign(static_cast<size_t>(result.steps * result.layers * result.heads),
                         std::nan(""));
    for_each([&](int64_t step, int64_t layer, int64_t head, const VmobaParams* params) {
      if (!layers[static_cast<size_t>(layer)]) return;
      result.at(step, layer, head) = params ? static_cast<double>(number(*params)) : dense;
    });
    return result;
  }

 private:
  const Plan& plan_;
  PlanSites sites_;
  int64_t first_step_;
};

struct LayerKinds {
  std::vector<std::optional<PartitionKind>> kinds;           // [layers], empty: dense
  std::optional<Partition> partition_of[std::size(kKinds)];  // by kind
};

LayerKinds layer_kinds(const Plan& plan, const VmobaSites& sites) {
  LayerKinds result;
  result.kinds.resize(static_cast<size_t>(plan.model.layers));
  const VmobaParams& first = sites.any();
  sites.for_each([&](int64_t, int64_t layer, int64_t, const VmobaParams* params) {
    if (!params) return;
    if (params->select != first.select)
      refuse("it mixes topk and threshold; the file has one mode");
    if (params->pool != first.pool) {
      refuse("it mixes the pools {} and {}; the file has one", to_string(first.pool),
             to_string(params->pool));
    }
    std::optional<Partition>& known =
        result.partition_of[static_cast<size_t>(params->partition.kind)];
    if (!known) known = params->partition;
    if (*known != params->partition) {
      refuse("layer {} takes {}, another {}; the file has one size per kind (per-layer partitions)",
             layer, to_string(params->partition), to_string(*known));
    }
    std::optional<PartitionKind>& kind = result.kinds[static_cast<size_t>(layer)];
    if (!kind) kind = params->partition.kind;
    if (*kind != params->partition.kind) {
      refuse("layer {} takes partitions of two kinds", layer);
    }
  });
  return result;
}

// A kind that no layer takes must still have a size that the grid allows: one block.
Partition idle_partition(PartitionKind kind, const TokenGrid& grid) {
  switch (kind) {
    case PartitionKind::kTemporal:
      return {kind, {grid.t, 0, 0}};
    case PartitionKind::kSpatial:
      return {kind, {0, grid.h, grid.w}};
    case PartitionKind::kSpatioTemporal:
      break;
  }
  return {kind, {grid.t, grid.h, grid.w}};
}

void set_kind(VmobaConfig& config, const Partition& partition, int64_t topk) {
  switch (partition.kind) {
    case PartitionKind::kTemporal:
      config.temporal_chunk = static_cast<double>(partition.block.t);
      config.temporal_topk = topk;
      break;
    case PartitionKind::kSpatial:
      config.spatial_chunk = partition.block;
      config.spatial_topk = topk;
      break;
    case PartitionKind::kSpatioTemporal:
      config.st_chunk = partition.block;
      config.st_topk = topk;
      break;
  }
}

int64_t merged_topk(const VmobaSites& sites, const std::vector<bool>& layers,
                    const Partition& partition, int64_t blocks, std::vector<std::string>& changes) {
  const SiteValues values =
      sites.values("top-k of " + to_string(partition), static_cast<double>(blocks), layers,
                   [](const VmobaParams& params) { return params.top_k; });
  const auto topk = static_cast<int64_t>(merge_all(values, changes));
  if (topk > 1 || blocks == 1) return topk;
  changes.push_back(fmt::format(
      "top-k 1 of {}, the own block alone, falls through to dense attention in the public code: "
      "it becomes 2",
      to_string(partition)));
  return 2;
}

double merged_tau(const VmobaSites& sites, const LayerKinds& layers,
                  std::vector<std::string>& changes) {
  sites.for_each([&](int64_t step, int64_t layer, int64_t head, const VmobaParams* params) {
    if (!params) {
      refuse("step {}, layer {}, head {} is dense, and no tau of the public code means that", step,
             layer, head);
    }
  });
  const double tau =
      merge_all(sites.values("tau", 1.0, std::vector<bool>(layers.kinds.size(), true),
                             [](const VmobaParams& params) { return params.threshold; }),
                changes);
  if (tau >= 1) refuse("tau 1 keeps two blocks, not all, in the public code");
  return tau;
}

// What the file means at every layer against what was merged. params is the public code's view.
void verify_config(const VmobaConfig& written, const Json& json, const std::string& what,
                   const Plan& plan) {
  const VmobaConfig read = parse_vmoba_config(json, what);
  SPARSESCOPE_ASSERT(vmoba_config_to_json(read) == vmoba_config_to_json(written));
  SPARSESCOPE_ASSERT(json.at("moba_config") == vmoba_config_to_json(written));
  const PlanSites sites(plan);
  for (int64_t step = 0; step < plan.num_steps; ++step) {
    for (int64_t layer = 0; layer < plan.model.layers; ++layer) {
      const VmobaParams params = read.params(layer, plan.grid);
      for (int64_t head = 0; head < plan.model.heads; ++head) {
        const MethodParams* in_plan = sites.at(step, layer, head);
        if (!in_plan) continue;
        const auto& wanted = std::get<VmobaParams>(*in_plan);
        SPARSESCOPE_ASSERT(params.partition == wanted.partition && params.select == wanted.select &&
                           params.pool == wanted.pool);
        SPARSESCOPE_ASSERT(wanted.select == VmobaSelect::kTopK
                               ? params.top_k >= wanted.top_k
                               : params.threshold >= wanted.threshold);
      }
    }
  }
}

}  // namespace

ExportDraft draft_fastvideo_vmoba(const ExportInput& input) {
  const Plan& plan = input.plan;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, plan.method == Method::kVmoba,
                    "fastvideo-vmoba: holds VMoBA settings, the plan's method is {}",
                    to_string(plan.method));
  ExportDraft draft;
  const VmobaSites sites(plan);
  const LayerKinds layers = layer_kinds(plan, sites);
  const std::optional<VmobaSchedule> schedule = find_vmoba_cycle(layers.kinds);
  if (!schedule) refuse("its layers follow no cycle of 1D, 2D and 3D (per-layer partitions)");

  VmobaConfig config;
  config.select = sites.any().select;
  config.pool = sites.any().pool;
  config.schedule = *schedule;
  config.first_full_step = sites.first_sparse_step();
  if (config.first_full_step > 0) {
    draft.changes.push_back(fmt::format(
        "dense steps 0-{}: first_full_step {} says so, but FastVideo and SGLang never read it and "
        "run them sparse",
        config.first_full_step - 1, config.first_full_step));
  }
  const bool by_count = config.select == VmobaSelect::kTopK;
  if (!by_count) config.threshold = merged_tau(sites, layers, draft.changes);
  for (const PartitionKind kind : kKinds) {
    std::vector<bool> of_kind;
    for (int64_t layer = 0; layer < plan.model.layers; ++layer) {
      of_kind.push_back(partition_kind(*schedule, layer) == kind);
    }
    const bool used = std::count(of_kind.begin(), of_kind.end(), true) > 0;
    const Partition partition =
        layers.partition_of[static_cast<size_t>(kind)].value_or(idle_partition(kind, plan.grid));
    const int64_t blocks = partition_blocks(partition, plan.grid).num_tiles();
    const bool counts = used && by_count;  // else top-k is a dead value
    set_kind(config, partition,
             counts ? merged_topk(sites, of_kind, partition, blocks, draft.changes) : blocks);
    draft.remarks.push_back(used ? fmt::format("{}: {} blocks", to_string(partition), blocks)
                                 : fmt::format("{}: no layer takes it", to_string(partition)));
  }
  draft.remarks.push_back(fmt::format("valid for the token grid {} alone", to_string(plan.grid)));

  draft.provenance_inside = true;  // both consumers ignore unknown keys
  Json json = vmoba_config_to_json(config);
  json["moba_config"] = vmoba_config_to_json(config);
  json["sparsescope"] = finish_provenance(input.provenance, draft);
  draft.files.push_back(
      json_file(input.out, json, [config, plan](const Json& read, const std::string& what) {
        verify_config(config, read, what, plan);
      }));
  return draft;
}

}  // namespace sparsescope
