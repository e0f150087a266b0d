// The plan file: which sparse method, with which parameters, at which steps, layers and heads.
// JSON, version 1; later rules override earlier ones. Reading, writing and the schema: plan.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/json_io.h"
#include "core/token_grid.h"

namespace sparsescope {

enum class Method { kDense, kBsa, kVsa, kVmoba };

inline constexpr int64_t kMaxExtent = int64_t{1} << 20;  // of layers, heads, steps and grid axes

// First and last, both included.
struct IndexRange {
  int64_t first = 0;
  int64_t last = 0;
  bool contains(int64_t index) const { return index >= first && index <= last; }
  bool operator==(const IndexRange&) const = default;
};

// By what key tiles are chosen: pooled scores are the method; the others bound it from below and
// above, at the same density.
enum class TileChoice {
  kPooled,  // the best scores between tile means
  kRandom,  // any, all subsets alike
  kOracle,  // for every row those that hold the most of its dense attention
};

struct VsaParams {
  int64_t top_k = 1;  // key tiles per query tile
  TileChoice choice = TileChoice::kPooled;
  bool operator==(const VsaParams&) const = default;
};

struct BsaParams {
  double query_keep = 0.5;    // fraction of the queries of a window
  TileShape window{2, 2, 2};  // all zero: no windows, the whole tile is one
  double kv_keep = 0.1;       // kappa of the Gaussian cut-off on the logits
  int64_t min_blocks = 4;
  bool operator==(const BsaParams&) const = default;
};

enum class VmobaSelect { kTopK, kThreshold };
enum class VmobaPool { kQueryHead, kHeadGlobal, kBlock, kOverall };

struct VmobaParams {
  Partition partition;
  VmobaSelect select = VmobaSelect::kTopK;
  int64_t top_k = 1;        // own block included
  double threshold = 0.25;  // tau
  VmobaPool pool = VmobaPool::kQueryHead;
  bool operator==(const VmobaParams&) const = default;
};

using MethodParams = std::variant<VsaParams, BsaParams, VmobaParams>;

struct PlanRule {
  IndexRange steps, layers, heads;
  MethodParams params;
};

// An expected value, with the interval that a new prompt falls into at the plan's confidence.
struct Expected {
  double mean = 0, low = 0, high = 0;
  double confidence = 0.95;
};

struct Plan {
  struct Model {
    std::string family;
    int64_t layers = 0, heads = 0, head_dim = 0;
    std::string checkpoint_hash;  // of both experts where there are two
    // The first step of the low-noise expert, num_steps where it runs none; empty: a single
    // transformer, or not known.
    std::optional<int64_t> low_noise_from_step;
  } model;
  TokenGrid grid;
  TileShape tile;
  int64_t num_steps = 0;
  Method method = Method::kVsa;
  std::vector<int64_t> dense_steps, dense_layers;
  std::vector<PlanRule> rules;
  std::optional<Expected> expected_density, expected_recall, expected_error;
  std::optional<Expected> expected_speedup;  // of attention, selection included, from kernel costs
  Json evidence;                             // see plan_evidence.h

  // The parameters in force, or nullptr where the site is dense.
  const PlanRule* rule_for(int64_t step, int64_t layer, int64_t head) const;
};

std::string to_string(Method method);
std::string to_string(TileChoice choice);  // "pooled", "random", "row_oracle"
std::string to_string(VmobaPool pool);
std::string to_string(VmobaSelect select);

Json plan_to_json(const Plan& plan);
// Error(kData) names the place (JSON pointer), what was expected and what was found; an unknown
// version or method is Error(kUnsupported).
Plan plan_from_json(const Json& json, const std::string& what);
Plan read_plan(const std::filesystem::path& path);
void write_plan(const std::filesystem::path& path, const Plan& plan, bool replace);

}  // namespace sparsescope
