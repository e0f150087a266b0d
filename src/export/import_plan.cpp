#include "export/import_plan.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/sha256.h"
#include "derive/rules.h"
#include "export/draft_file.h"
#include "export/svoo_csv.h"
#include "export/vmoba_config.h"
#include "model/experts.h"
#include "plan/carry_over.h"
#include "stats/profile.h"

namespace sparsescope {
namespace {

void require(bool given, const char* option, const std::string& from) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, given, "{}: the file does not say it, so {} is required",
                    from, option);
}

IndexRange all(int64_t count) { return {0, count - 1}; }

std::vector<int64_t> first_indices(int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

void add_vmoba_remarks(const VmobaConfig& config, const Plan& plan, Json& remarks) {
  if (!plan.dense_steps.empty() || !plan.dense_layers.empty()) {
    remarks.push_back(
        "dense below first_full_step and first_full_layer, as asked; FastVideo and SGLang run "
        "these "
        "sparse");
  } else if (config.first_full_step > 0) {
    remarks.push_back(
        fmt::format("first_full_step {} is read by neither FastVideo nor SGLang: no step is dense",
                    config.first_full_step));
  }
  if (config.select != VmobaSelect::kTopK) return;
  for (const PlanRule& rule : plan.rules) {
    const auto& params = std::get<VmobaParams>(rule.params);
    const int64_t blocks = partition_blocks(params.partition, plan.grid).num_tiles();
    if (params.top_k == 1 && blocks > 1) {
      remarks.push_back(
          fmt::format("layers {}-{}: top-k 1 of {} is the own block alone here, dense attention in "
                      "the public code",
                      rule.layers.first, rule.layers.last, to_string(params.partition)));
    }
    if (config.topk(params.partition.kind) > blocks) {
      remarks.push_back(fmt::format("layers {}-{}: top-k {} clamped to the {} blocks of {}",
                                    rule.layers.first, rule.layers.last,
                                    config.topk(params.partition.kind), blocks,
                                    to_string(params.partition)));
    }
  }
}

void import_vmoba(const ImportRequest& request, const std::string& text, Plan& plan,
                  Json& imported) {
  const std::string what = request.file.string();
  const VmobaConfig config = parse_vmoba_config(parse_json(text, what), what);
  require(plan.model.layers > 0, "--model or --layers", request.from);
  require(plan.model.heads > 0, "--model or --heads", request.from);
  require(plan.num_steps > 0, "--steps", request.from);
  plan.method = Method::kVmoba;
  for (int64_t layer = 0; layer < plan.model.layers; ++layer) {
    plan.rules.push_back({all(plan.num_steps),
                          {layer, layer},
                          all(plan.model.heads),
                          config.params(layer, plan.grid)});
  }
  if (request.honour_first_full) {
    plan.dense_steps = first_indices(std::min(config.first_full_step, plan.num_steps));
    plan.dense_layers =
        first_indices(std::min(config.schedule.first_full_layer, plan.model.layers));
  }
  imported["settings"] = vmoba_config_to_json(config);
  add_vmoba_remarks(config, plan, imported["remarks"]);
}

void check_extent(const char* what, int64_t given, int64_t found, const std::string& file) {
  SPARSESCOPE_CHECK(ErrorKind::kData, given == 0 || given == found, "{}: expected {} {}, found {}",
                    file, given, what, found);
}

void import_svoo(const ImportRequest& request, const std::string& text, Plan& plan,
                 Json& imported) {
  const std::string what = request.file.string();
  const SvooTable table =
      request.from == "svoo" ? parse_svoo_csv(text, what) : parse_svoo_log(text, what);
  check_extent("steps", plan.num_steps, table.steps, what);
  check_extent("layers", plan.model.layers, table.layers, what);
  check_extent("heads", plan.model.heads, table.heads, what);
  plan.num_steps = table.steps;
  plan.model.layers = table.layers;
  plan.model.heads = table.heads;
  plan.method = Method::kVsa;
  const int64_t tiles = TileGrid(plan.grid, plan.tile).num_tiles();
  for (int64_t layer = 0; layer < table.layers; ++layer) {
    for (int64_t head = 0; head < table.heads; ++head) {
      for (int64_t step = 0; step < table.steps; ++step) {
        const double kept =
            table.kept[static_cast<size_t>((step * table.layers + layer) * table.heads + head)];
        plan.rules.push_back({{step, step},
                              {layer, layer},
                              {head, head},
                              VsaParams{.top_k = kept_count(kept, tiles)}});
      }
    }
  }
  imported["remarks"].push_back(
      "VSA top-k K(f) of the file's kept fractions f; SVOO clusters keys, and takes f as the least "
      "share of clusters");
}

// A plan of ours, carried over to the grid and steps asked for.
Plan import_own(const ImportRequest& request) {
  const Plan plan = read_plan(request.file);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.model.layers == 0 && request.model.head_dim == 0,
                    "plan: the file says which model it is for; --model, --layers, --heads and "
                    "--head-dim are not taken");
  Plan carried =
      carry_over(plan, request.grid.tokens() > 0 ? request.grid : plan.grid,
                 request.steps > 0 ? request.steps : plan.num_steps, request.low_noise_from_step);
  carried.evidence["imported"] = {
      {"format", request.from},
      {"file", request.file.filename().string()},
      {"sha256", sha256_file(request.file)},
      {"remarks",
       {fmt::format("carried over from grid {} and {} steps: shares stay shares; what it does here "
                    "is not foretold: validate measures it",
                    to_string(plan.grid), plan.num_steps)}}};
  carried.evidence["command_line"] = request.command_line;
  return carried;
}

}  // namespace

Plan import_plan(const ImportRequest& request) {
  if (request.from == "plan") return import_own(request);
  using Importer = void (*)(const ImportRequest&, const std::string&, Plan&, Json&);
  static constexpr std::array<std::pair<std::string_view, Importer>, 4> kImporters = {
      {{"fastvideo-vmoba", import_vmoba},
       {"sglang-vmoba", import_vmoba},
       {"svoo", import_svoo},
       {"svoo-log", import_svoo}}};
  const auto importer = std::find_if(kImporters.begin(), kImporters.end(), [&](const auto& entry) {
    return entry.first == request.from;
  });
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage, importer != kImporters.end(),
      "--from: expected plan, fastvideo-vmoba, sglang-vmoba, svoo or svoo-log, found '{}'",
      request.from);
  require(request.model.head_dim > 0, "--model or --head-dim", request.from);
  require(request.grid.tokens() > 0, "--grid", request.from);

  Plan plan;
  plan.model = request.model;
  plan.grid = request.grid;
  plan.tile = request.tile;
  plan.num_steps = request.steps;
  plan.model.low_noise_from_step = request.low_noise_from_step;
  Json imported = {{"format", request.from},
                   {"file", request.file.filename().string()},
                   {"sha256", sha256_file(request.file)},
                   {"remarks", Json::array()}};
  importer->second(request, read_text(request.file), plan, imported);
  plan.rules = join_rules(std::move(plan.rules));
  plan.evidence = {{"imported", std::move(imported)}, {"command_line", request.command_line}};
  // The reader's own checks: what is written must be a sound plan.
  return plan_from_json(plan_to_json(plan), request.file.string());
}

Plan::Model describe_plan_model(const std::filesystem::path& checkpoint) {
  const CheckpointFolder folder = open_checkpoint_folder(checkpoint);
  const StateDict weights = StateDict::open(folder.transformer);
  const ModelInfo info = describe_checkpoint(folder, weights);
  // Which steps an expert runs is decided by the scheduler, which the file does not name.
  return {.family = info.family,
          .layers = info.layers,
          .heads = info.heads,
          .head_dim = info.head_dim,
          .checkpoint_hash = checkpoint_hash(folder),
          .low_noise_from_step = {}};
}

}  // namespace sparsescope
